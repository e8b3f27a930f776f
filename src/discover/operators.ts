import { isRecord, type RenderedObject } from './documents.ts'

/**
 * What operators do with the parts of their resources beyond an `enabled` beside them: a part is only started where the gate
 * is on. Source: NVIDIA gpu-operator v24.9.2, controllers/state_manager.go (sandbox workloads) and api/nvidia/v1.
 */
const gates: readonly { kind: string; gate: readonly string[]; parts: readonly string[] }[] = [
  {
    kind: 'ClusterPolicy',
    gate: ['spec', 'sandboxWorkloads', 'enabled'],
    parts: [
      'spec.vfioManager',
      'spec.sandboxDevicePlugin',
      'spec.vgpuManager',
      'spec.vgpuDeviceManager',
      'spec.kataManager',
      'spec.ccManager',
    ],
  },
]

/** The gate that keeps the part at `path` of the object from being started, if there is one. */
export function closedGate(object: RenderedObject, path: string): string | undefined {
  const found = gates.find(({ kind, parts }) => kind === object.kind && parts.includes(path))
  if (found === undefined) return undefined
  const value = found.gate.reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), object.value)
  return value === true ? undefined : found.gate.join('.')
}
