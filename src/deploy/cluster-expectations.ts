import type { Expectations } from '../install/cluster-findings.ts'
import { carriedImages } from './carried-images.ts'
import type { OpenBundle } from './open-bundles.ts'
import type { SiteInstall } from './site-install.ts'

const sessionApplication = 'gpu-session-monitoring'

/** What the cluster of a site must be like. Without an install, GPUs and their metrics are not expected. */
export function clusterExpectations(options: {
  install: Pick<SiteInstall, 'site' | 'deployment'> | undefined
  bundles: readonly OpenBundle[]
  registry: string
}): Expectations & { sessionMetrics: boolean } {
  const { install, bundles, registry } = options
  const nodes = install?.site.nodes ?? []
  const gpuNodes = nodes.filter(({ roles }) => roles.includes('gpu')).map(({ name }) => name)
  const applications = install?.deployment.applications?.order ?? []
  return {
    registry,
    carried: carriedImages(bundles),
    gpuNodes,
    sessionMetrics:
      gpuNodes.length > 0 &&
      applications.includes(sessionApplication) &&
      install?.site.switches.applications[sessionApplication] !== false,
  }
}
