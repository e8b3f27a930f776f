import { redactUrl } from '../../core/redact.ts'
import { defineKind } from '../kind.ts'
import { assembleCharts } from './assemble.ts'
import { chartEntry } from './entry.ts'
import { lockedChartSchema } from './locked.ts'

/** Helm charts, of classic repositories and of OCI registries. */
export const chartKind = defineKind({
  name: 'chart',
  entry: chartEntry,
  inputs: { of: request => request, empty: 'counted' },
  schema: lockedChartSchema,
  // reading archives is only needed here; a build from a lock does without it
  resolve: async (request, context) => (await import('./resolve.ts')).resolveChart(request, context),
  assemble: assembleCharts,
  describe: chart => [
    {
      name: chart.name,
      size: chart.layers.reduce((sum, layer) => sum + layer.size, 0),
      source: chart.origin.type === 'http' ? redactUrl(chart.origin.url) : `oci://${chart.origin.repository}`,
      ...(chart.firstUse ? { firstUse: true } : {}),
    },
  ],
})
