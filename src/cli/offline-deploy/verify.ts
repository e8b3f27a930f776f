import type { Command } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import { type OpenBundle, openBundles } from '../../deploy/open-bundles.ts'
import { existingSite, type Setup, setUp } from '../../deploy/set-up.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { verifyBundles } from '../../deploy/verify.ts'
import type { Expectations } from '../../install/cluster-findings.ts'
import { clusterState, refuseFindings } from '../../install/steps/verification.ts'
import { registryOf } from '../../site/address.ts'
import type { SiteState } from '../../site/state.ts'
import { humanBytes, humanTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { carriedImages } from './carried-images.ts'
import { clusterExpectations, clusterOf, knownCluster } from './cluster.ts'
import { bundleOptions } from './options.ts'

interface VerifyOptions extends SiteOptions {
  cluster?: boolean
}

export function verifyCommand(program: Command, shell: Shell): void {
  bundleOptions(program.command('verify'))
    .description(
      'read the whole bundle, check every byte and that its names can be served; exit 6 if a byte is wrong',
    )
    .argument('[bundle]', 'the bundle (default: --bundle, or the .tar beside the program)')
    .option(
      '--cluster',
      'look at the cluster of the site instead: every image is of this site, nodes and pods are ready; exit 8 if not',
    )
    .action(async (named: string | undefined, options: VerifyOptions) => {
      if (options.cluster) return await verifyCluster(named, options, shell)
      const started = performance.now()
      const reports = await verifyBundles(named === undefined ? options : { ...options, bundle: [named] }, {
        progress: shell.progress(),
        signal: shell.signal,
      })
      const seconds = (performance.now() - started) / 1000
      shell.print({ bundles: reports, seconds }, () =>
        reports
          .flatMap(report => [
            `${report.path}: good`,
            `  ${report.name} ${report.version}`,
            `  digest  ${report.indexDigest}`,
            `  content ${report.blobs} blobs, ${humanBytes(report.size)}`,
          ])
          .concat(`read in ${humanTime(seconds)}`)
          .join('\n'),
      )
    })
}

async function verifyCluster(named: string | undefined, options: VerifyOptions, shell: Shell): Promise<void> {
  if (named !== undefined)
    throw new AirgapError('USAGE', '--cluster checks the cluster, not a bundle file', {
      item: named,
      next: 'run verify twice: with --cluster, and for the bundle',
    })
  const { siteFolder, state } = await existingSite(options)
  const setup = await setUp(options)
  const cluster = await knownCluster(setup.site, state.paths)
  if (cluster === undefined)
    throw new AirgapError('FILE_NOT_FOUND', 'this site has no kubeconfig', {
      item: clusterOf(setup.site, state.paths).kubeconfig,
      likely: 'Kubernetes is not installed yet, or the path in site.yaml is wrong',
      next: 'run apply first, or correct kubeconfig in site.yaml',
    })
  await using opened = await openBundles(setup.config.bundles, { ...setup, unknown: 'refused' })
  const { bundles } = opened
  {
    const expected = await expectationsOf({ setup, state, bundles })
    const { findings } = await clusterState({ ...expected, cluster }, shell.signal)
    const errors = findings.filter(one => one.severity === 'error').length
    shell.print(
      {
        site: siteFolder,
        good: errors === 0,
        findings: findings.map(({ severity, what, next }) => ({ severity, what, next })),
      },
      () =>
        [
          ...findings.map(({ severity, what, next }) => `${severity.padEnd(8)} ${what}\n         ${next}`),
          `cluster of ${siteFolder}: ${errors === 0 ? 'good' : `${errors} ${errors === 1 ? 'error' : 'errors'}`}`,
        ].join('\n'),
    )
    refuseFindings(findings)
  }
}

/** The same for a site as it is set up: without site.yaml or an install there are no GPUs to be asked for. */
async function expectationsOf(options: {
  setup: Setup
  state: SiteState
  bundles: readonly OpenBundle[]
}): Promise<Expectations & { sessionMetrics: boolean }> {
  const { setup, state, bundles } = options
  const registry = registryOf(setup.address)
  const { deploymentTrees } = await import('./steps.ts')
  const { openSiteInstall } = await import('./site-install.ts')
  const trees = deploymentTrees(bundles, new Map())
  const install = setup.site && (await openSiteInstall(setup.site, { trees, state }))
  if (install !== undefined) return clusterExpectations({ install, bundles, registry })
  return { registry, carried: carriedImages(bundles), gpuNodes: [], sessionMetrics: false }
}
