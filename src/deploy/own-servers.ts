import { findServers, refuseStrangers, requireServers, type SiteServers } from '../install/site-servers.ts'
import type { Step } from '../install/step.ts'
import type { SiteConfig } from '../site/config.ts'
import { readServerKey } from '../site/server-key.ts'
import type { SiteState } from '../site/state.ts'
import { localUrls } from './set-up.ts'
import type { ServerAddresses } from './site-values.ts'

/** The servers of this site, as this host reaches them. */
export function ownServers(
  config: Pick<SiteConfig, 'listen' | 'registryPort' | 'httpPort'>,
  { id, folder }: Pick<SiteState, 'id' | 'folder'>,
): SiteServers {
  return { site: id, key: () => readServerKey(folder), urls: localUrls(config), direct: true }
}

/** The step, which refuses to run where another program answers in place of the servers from which it, or a machine, takes something. */
export function takingFrom(servers: SiteServers, step: Step): Step {
  return {
    ...step,
    async apply(context) {
      await requireServers(servers, context.signal)
      await step.apply(context)
    },
  }
}

/** The step, which refuses to run where another program answers at the address that the machines use. */
export function withoutStrangersAt(
  { registry, httpServer }: ServerAddresses,
  { servers, step }: { servers: SiteServers; step: Step },
): Step {
  const there = { ...servers, urls: { registry: `http://${registry}`, http: httpServer }, direct: false }
  return {
    ...step,
    async apply(context) {
      refuseStrangers(await findServers(there, context.signal), there)
      await step.apply(context)
    },
  }
}
