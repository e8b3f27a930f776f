import { findServers, refuseStrangers, requireServers, type SiteServers } from '../install/site-servers.ts'
import type { Step } from '../install/step.ts'
import { httpServerOf, registryUrlOf, type SiteAddress } from '../site/address.ts'
import type { SiteConfig } from '../site/config.ts'
import { readServerKey } from '../site/server-key.ts'
import type { SiteState } from '../site/state.ts'
import { localAddress } from './set-up.ts'
import { trustedForTls } from './site-tls.ts'

/** The servers of this site, as this host reaches them. */
export function ownServers(
  config: Pick<SiteConfig, 'listen' | 'registryPort' | 'httpPort' | 'tls'>,
  { id, folder, paths }: Pick<SiteState, 'id' | 'folder' | 'paths'>,
): SiteServers {
  return {
    site: id,
    key: () => readServerKey(folder),
    ca: () => trustedForTls(config.tls, paths.tls),
    urls: urlsOf(localAddress(config)),
    direct: true,
  }
}

function urlsOf(address: SiteAddress): SiteServers['urls'] {
  return { registry: registryUrlOf(address), http: httpServerOf(address) }
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
  address: SiteAddress,
  { servers, step }: { servers: SiteServers; step: Step },
): Step {
  const there = { ...servers, urls: urlsOf(address), direct: false }
  return {
    ...step,
    async apply(context) {
      refuseStrangers(await findServers(there, context.signal), there)
      await step.apply(context)
    },
  }
}
