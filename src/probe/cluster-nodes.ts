import { z } from 'zod'
import { defined } from '../core/defined.ts'

/** A node as `kubectl get nodes -o json` reports it. Its texts are untrusted: make them printable before they reach a terminal. */
export interface ClusterNode {
  name: string
  /** the condition Ready is True */
  ready: boolean
  /** `v1.28.6` */
  kubeletVersion: string
  /** `containerd://1.7.13` */
  containerRuntimeVersion?: string
  /** resources that pods may request, such as `nvidia.com/gpu` → `8` */
  allocatable: Record<string, string | number>
}

const nodeListSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      status: z.object({
        conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
        allocatable: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
        nodeInfo: z.object({ kubeletVersion: z.string(), containerRuntimeVersion: z.string().optional() }),
      }),
    }),
  ),
})

/** Parses the output of `kubectl get nodes -o json`; returns undefined for anything else. */
export function parseClusterNodes(output: unknown): ClusterNode[] | undefined {
  const parsed = nodeListSchema.safeParse(output)
  return parsed.data?.items.map(({ metadata, status }) =>
    defined({
      name: metadata.name,
      ready: status.conditions.some(one => one.type === 'Ready' && one.status === 'True'),
      kubeletVersion: status.nodeInfo.kubeletVersion,
      containerRuntimeVersion: status.nodeInfo.containerRuntimeVersion,
      allocatable: status.allocatable,
    }),
  )
}
