import { z } from 'zod'
import { parseConstraint } from '../../core/chart-version.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { isRepository, isTag } from '../../core/reference.ts'
import { withoutTrailing } from '../../core/trim.ts'
import { distinctRequests } from '../../document/distinct.ts'
import { nameField, sha256Field, versionField } from '../../document/fields.ts'
import { publicUrl, refuseLogin } from '../../document/urls.ts'
import type { SignaturePolicy } from '../../oci-signatures/policy.ts'
import { manifestEntry } from '../entry.ts'
import { chartTag } from './assemble.ts'

export interface ChartRequest {
  at: string
  name: string
  repo: string
  /** or a constraint, as helm reads it */
  version: string
  /** hex */
  sha256?: string
  /** who must have signed it, of a chart in a registry; absent where nobody must */
  signatures?: SignaturePolicy[]
}

/** Returns where a chart of a registry is; undefined for one of a classic repository. */
export function chartRepository({ repo, name }: Pick<ChartRequest, 'repo' | 'name'>): string | undefined {
  return repo.startsWith('oci://')
    ? `${withoutTrailing(repo.slice('oci://'.length), '/')}/${name}`
    : undefined
}

/** A version, or a constraint: `^1.2`, `>=1.2 <2`, `1.x`. */
const chartVersionField = z
  .string()
  .max(100)
  .refine(
    text => versionField.safeParse(text).success || parseConstraint(text) !== undefined,
    'must be a version such as 1.2.0, or a constraint such as ^1.2',
  )

export const chartEntry = manifestEntry({
  key: 'charts',
  schema: z.strictObject({
    name: nameField,
    /** https://… with an index.yaml, or oci://host/path */
    repo: z.string().regex(/^(https?|oci):\/\//, 'must begin with https://, http:// or oci://'),
    version: chartVersionField,
    sha256: sha256Field.optional(),
  }),
  starter: `\
# charts:
#   - name: csi-driver-nfs
#     repo: https://raw.githubusercontent.com/kubernetes-csi/csi-driver-nfs/master/charts
#     version: v4.7.0                         # or ^4.7, as helm reads it; and sha256: of the archive, where you know it
#   - name: keycloak
#     repo: oci://registry-1.docker.io/bitnamicharts
#     version: 17.3.5
`,
  load(entries, { at, mistakes }) {
    const requests: ChartRequest[] = []
    for (const [i, chart] of entries.entries()) {
      mistakes.attempt(() => {
        checkRepository(chart.repo, at(i, 'repo'))
        if (versionField.safeParse(chart.version).success) checkServedName(chart, at(i))
        requests.push({ at: at(i), ...defined(chart) })
      })
    }
    // the name of the archive: `a` 1-b and `a-1` b would be one file
    return distinctRequests(requests, { nameOf: chart => `${chart.name}-${chart.version}`, mistakes })
  },
})

/** The site's registry serves every chart as charts/NAME:VERSION; distribution-spec is stricter than helm. Throws MANIFEST_INVALID. */
export function checkServedName({ name, version }: { name: string; version: string }, at: string): void {
  if (isRepository(name) && isTag(chartTag(version))) return
  throw new AirgapError('MANIFEST_INVALID', 'a registry cannot serve a chart of this name and version', {
    item: `${at}: ${name} ${version}`,
    likely: 'a name has single dots, dashes or underscores between letters and digits; a version has no ~',
    next: 'check name and version against the publisher’s; if they are right, remove the chart',
  })
}

function checkRepository(repo: string, at: string): void {
  if (!repo.startsWith('oci://')) {
    publicUrl(repo, at)
    return
  }
  refuseLogin(repo, at)
  const [host = '', ...rest] = withoutTrailing(repo.slice('oci://'.length), '/').split('/')
  const named = /[.:]/.test(host) || host === 'localhost'
  if (named && rest.every(part => /^[^\s?#]+$/.test(part))) return
  throw new AirgapError('MANIFEST_INVALID', 'the text is not the address of an OCI registry', {
    item: `${at}: ${redactUrl(repo)}`,
    likely: 'the host is missing (a host contains a dot or a port), or the address has a query',
    next: 'write it as oci://host/path, without the name of the chart; a login comes from `docker login`',
  })
}
