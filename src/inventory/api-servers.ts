import { z } from 'zod'
import type { SiteFile } from './schema.ts'

/** Variables of kubespray that put a load balancer before the API servers (docs/operations/ha-mode.md there). */
const balancerVariables = {
  loadbalancer_apiserver: z.object({ address: z.string().min(1) }).transform(({ address }) => address),
  apiserver_loadbalancer_domain_name: z.string().min(1),
  kube_vip_address: z.string().min(1),
}

/** Returns the addresses and names at which the API server of a site may be: of control-plane nodes and of a load balancer. */
export function apiServers({ nodes, kubespray }: SiteFile): string[] {
  const controlPlane = nodes.filter(({ roles }) => roles.includes('control-plane'))
  // each on its own: an empty or unusual one must not hide the others
  const balancers = Object.entries(balancerVariables).flatMap(
    ([name, schema]) => schema.safeParse(kubespray?.[name]).data ?? [],
  )
  return [...controlPlane.flatMap(({ address, name }) => [address, name]), ...balancers]
}
