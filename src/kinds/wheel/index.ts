import { redactUrl } from '../../core/redact.ts'
import { defineKind } from '../kind.ts'
import { assembleWheels } from './assemble.ts'
import { wheelEntry } from './entry.ts'
import { lockedWheelsSchema } from './locked.ts'

/** Python wheels: the closure of requirements, for given Pythons and platforms. */
export const wheelKind = defineKind({
  name: 'wheel',
  entry: wheelEntry,
  inputs: {
    of: wheel => ({
      ...wheel,
      requirements: wheel.requirements.map(({ text }) => ({ text })),
      constraints: wheel.constraints.map(({ text }) => ({ text })),
    }),
    empty: 'counted',
  },
  schema: lockedWheelsSchema,
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
})
