import { defined } from '../../core/defined.ts'
import { hexOf } from '../../core/digest.ts'
import { packageUrl } from '../../core/package-url.ts'
import { redactUrl } from '../../core/redact.ts'
import { sha256Hash } from '../component.ts'
import { defineKind } from '../kind.ts'
import { assembleCharts } from './assemble.ts'
import { chartEntry } from './entry.ts'
import { lockedChartSchema } from './locked.ts'
import { chartHttpMount, chartRegistryMount } from './mount.ts'

/** Helm charts, of classic repositories and of OCI registries. */
export const chartKind = defineKind({
  name: 'chart',
  entry: chartEntry,
  inputs: { of: request => request, empty: 'counted' },
  schema: lockedChartSchema,
  resolve: async (request, context) => (await import('./resolve.ts')).resolveChart(request, context),
  create: 'nothing',
  assemble: assembleCharts,
  section: 'charts',
  describe: ({ name, layers, origin, firstUse }) => [
    {
      name,
      size: layers.reduce((sum, layer) => sum + layer.size, 0),
      source: origin.type === 'http' ? redactUrl(origin.url) : `oci://${origin.repository}`,
      ...defined({ firstUse }),
    },
  ],
  packages: 'requested',
  components({ name, chart, version, layers, origin }) {
    const repository_url =
      origin.type === 'oci' ? `oci://${origin.repository}` : redactUrl(new URL('.', origin.url))
    return [
      {
        type: 'application',
        'bom-ref': `chart/${name}`,
        name: chart,
        version,
        hashes: sha256Hash(hexOf(layers[0]!.digest)),
        purl: packageUrl('helm', [chart], { version, repository_url }),
      },
    ]
  },
  mounts: { registry: chartRegistryMount, http: chartHttpMount },
})
