import { defined } from '../../core/defined.ts'
import { hexOf } from '../../core/digest.ts'
import { packageUrl } from '../../core/package-url.ts'
import { redactUrl } from '../../core/redact.ts'
import { policyInputs } from '../../oci-signatures/policy.ts'
import { signersText } from '../../oci-signatures/signed-by.ts'
import { sha256Hash } from '../component.ts'
import { defineKind } from '../kind.ts'
import { assembleCharts } from './assemble.ts'
import { chartEntry } from './entry.ts'
import { type LockedChart, lockedChartSchema } from './locked.ts'
import { chartHttpMount, chartRegistryMount } from './mount.ts'
import { publisherOf } from './publisher.ts'

/** Helm charts, of classic repositories and of OCI registries. */
export const chartKind = defineKind({
  name: 'chart',
  entry: chartEntry,
  inputs: {
    of: ({ signatures, ...chart }) => ({
      ...chart,
      ...defined({ signers: signatures && policyInputs(signatures) }),
    }),
    empty: 'counted',
  },
  schema: lockedChartSchema,
  light: false,
  resolve: async (request, context) => (await import('./resolve.ts')).resolveChart(request, context),
  create: 'nothing',
  assemble: assembleCharts,
  section: 'charts',
  describe: chart => [
    {
      name: chart.name,
      group: 'charts',
      subject: chart.chart,
      version: chart.version,
      digest: chart.origin.type === 'oci' ? chart.origin.manifest.digest : chart.layers[0]!.digest,
      size: chart.layers.reduce((sum, layer) => sum + layer.size, 0),
      source: chart.origin.type === 'http' ? redactUrl(chart.origin.url) : `oci://${chart.origin.repository}`,
      vouchedBy: voucherOf(chart),
      ...defined({ firstUse: chart.firstUse }),
      locked: chart,
    },
  ],
  packages: 'requested',
  components({ name, chart, version, layers, origin, metadata }) {
    const repository_url =
      origin.type === 'oci' ? `oci://${origin.repository}` : redactUrl(new URL('.', origin.url))
    return [
      {
        type: 'application',
        ...publisherOf(metadata),
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

function voucherOf({ origin, firstUse, pinned, signedBy }: LockedChart): string {
  const signers = signersText(signedBy)
  if (signers !== undefined) return signers
  if (pinned) return 'sha256 in the manifest'
  if (origin.type === 'oci') return `${origin.repository.split('/')[0]} (its tag when locked)`
  return firstUse ? 'nobody (first use)' : `index of ${new URL(origin.url).host}`
}
