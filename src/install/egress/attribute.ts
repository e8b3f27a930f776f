import { z } from 'zod'
import { printableLine } from '../../core/printable.ts'
import type { Captured, EgressAttempt } from './capture.ts'

/** Who tried to reach what, merged over the packets of a machine. */
export interface Egress {
  node: string
  /** namespace/name; null: the machine itself */
  pod: string | null
  /** null: it had ended before it was looked for */
  process: string | null
  protocol: EgressAttempt['protocol']
  destination: string
  /** 0 for icmp */
  port: number
  /** names that DNS queries asked for, at most ten */
  queries: string[]
  packets: number
}

const podsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ namespace: z.string(), name: z.string(), uid: z.string().default('') }),
      spec: z.object({ hostNetwork: z.boolean().nullish() }).default({}),
      status: z.object({ podIPs: z.array(z.object({ ip: z.string() })).nullish() }).default({}),
    }),
  ),
})

const maxQueries = 10

/**
 * Names the pods of what was captured; `pods` is the unchecked answer of `kubectl get pods --all-namespaces -o json`. A pod's packet is
 * seen again under the address of its machine when that forwards it: this copy is left out.
 */
export function attributeEgress(captured: ReadonlyMap<string, Captured>, pods: unknown): Egress[] {
  const named = podNames(pods)
  const merged = new Map<string, Egress>()
  for (const [node, capture] of captured) {
    if ('failed' in capture) continue
    const podOf = ({ podUid, source }: EgressAttempt) =>
      named.byUid.get(podUid ?? '') ?? named.byAddress.get(source) ?? null
    const fromPods = new Set(capture.attempts.filter(one => podOf(one) !== null).map(one => flowOf(one)))
    for (const attempt of capture.attempts) {
      const pod = podOf(attempt)
      if (pod === null && attempt.process === null && fromPods.has(flowOf(attempt))) continue
      const { process, protocol, destination, port, query, packets } = attempt
      const key = JSON.stringify([node, pod, process, protocol, destination, port])
      const before = merged.get(key) ?? {
        node,
        pod,
        process,
        protocol,
        destination,
        port,
        queries: [],
        packets: 0,
      }
      before.packets += packets
      if (query !== null && !before.queries.includes(query) && before.queries.length < maxQueries)
        before.queries.push(query)
      merged.set(key, before)
    }
  }
  return [...merged.values()].sort((a, b) => b.packets - a.packets)
}

function flowOf({ protocol, destination, port }: EgressAttempt): string {
  return `${protocol} ${destination} ${port}`
}

function podNames(pods: unknown): { byUid: Map<string, string>; byAddress: Map<string, string> } {
  const byUid = new Map<string, string>()
  const byAddress = new Map<string, string>()
  const read = podsSchema.safeParse(pods)
  for (const { metadata, spec, status } of read.success ? read.data.items : []) {
    const name = printableLine(`${metadata.namespace}/${metadata.name}`, 300)
    if (metadata.uid !== '') byUid.set(metadata.uid, name)
    if (!spec.hostNetwork) for (const { ip } of status.podIPs ?? []) byAddress.set(ip, name)
  }
  return { byUid, byAddress }
}
