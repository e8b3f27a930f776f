import { redactUrl } from '../../core/redact.ts'
import type { WheelRequest } from '../../manifest/stack.ts'
import type { Kind } from '../kind.ts'
import { assembleWheels } from './assemble.ts'
import { type LockedWheels, lockedWheelsSchema } from './locked.ts'

/** Python wheels: what requirements need, for given Pythons and platforms. */
export const wheelKind: Kind<WheelRequest, LockedWheels> = {
  name: 'wheel',
  schema: lockedWheelsSchema,
  requests: manifest => manifest.wheels,
  resolve: async (request, context) => (await import('./resolve.ts')).resolveWheels(request, context),
  assemble: assembleWheels,
  describe: item =>
    item.distributions.map(one => ({
      name: `pypi/${one.filename}`,
      version: one.version,
      size: one.size,
      source: redactUrl(new URL('/', one.url)),
      ...(one.firstUse ? { firstUse: true } : {}),
    })),
}
