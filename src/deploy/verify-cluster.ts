import { AirgapError } from '../core/errors.ts'
import type { ClusterFinding } from '../install/cluster-findings.ts'
import { clusterState } from '../install/steps/verification.ts'
import { registryOf } from '../site/address.ts'
import { deploymentTrees } from './bundle-trees.ts'
import { clusterOf, knownCluster } from './cluster.ts'
import { clusterExpectations } from './cluster-expectations.ts'
import { openBundles } from './open-bundles.ts'
import { existingSite, setUp } from './set-up.ts'
import { openSiteInstall } from './site-install.ts'
import type { SiteOptions } from './site-options.ts'

export interface VerifiedCluster {
  site: string
  findings: ClusterFinding[]
}

/** Compares what runs in the cluster with what this site provides. Throws FILE_NOT_FOUND where no cluster is known. */
export async function verifyCluster(
  options: SiteOptions,
  { signal, now }: { signal: AbortSignal; now: () => Date },
): Promise<VerifiedCluster> {
  const { siteFolder, state } = await existingSite(options)
  const setup = await setUp(options)
  const { site } = setup
  await using cluster = await knownCluster(site, state.paths)
  if (cluster === undefined)
    throw new AirgapError('FILE_NOT_FOUND', 'this site has no kubeconfig', {
      item: clusterOf(site, state.paths).kubeconfig,
      likely: 'Kubernetes is not installed yet, or the path in site.yaml is wrong',
      next: 'run `offline-deploy apply` first, or correct kubeconfig in site.yaml',
    })
  await using opened = await openBundles(setup.config.bundles, { ...setup, unknown: 'refused', now: now() })
  const { bundles } = opened
  const install = site && (await openSiteInstall(site, { trees: deploymentTrees(bundles, new Map()), state }))
  const expected = clusterExpectations({ install, bundles, registry: registryOf(setup.address) })
  const { findings } = await clusterState({ ...expected, cluster }, signal)
  return { site: siteFolder, findings }
}
