import { z } from 'zod'
import type { SiteFile } from './schema.ts'

/** Variables of kubespray that put a load balancer before the API servers (docs/operations/ha-mode.md there). */
const balancerSchema = z.object({
  loadbalancer_apiserver: z.object({ address: z.string() }).optional(),
  apiserver_loadbalancer_domain_name: z.string().optional(),
  kube_vip_address: z.string().optional(),
})

/** Returns the addresses and names at which the API server of a site may be: of control-plane nodes and of a load balancer. */
export function apiServers({ nodes, kubespray }: SiteFile): string[] {
  const controlPlane = nodes.filter(({ roles }) => roles.includes('control-plane'))
  const { data } = balancerSchema.safeParse(kubespray)
  const balancers = [
    data?.loadbalancer_apiserver?.address,
    data?.apiserver_loadbalancer_domain_name,
    data?.kube_vip_address,
  ]
  return [
    ...controlPlane.flatMap(({ address, name }) => [address, name]),
    ...balancers.filter(one => one !== undefined),
  ]
}
