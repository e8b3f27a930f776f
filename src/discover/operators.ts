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

/**
 * Parts whose tag the operator ends with the system of each node, as in `driver:550.144.03-ubuntu22.04`: one image for each OS
 * that the site has. Source: the same, internal/image and controllers/object_controls.go.
 */
const perNode: readonly { kind: string; parts: readonly string[] }[] = [
  { kind: 'ClusterPolicy', parts: ['spec.driver', 'spec.vgpuManager'] },
]

export function isPerNode({ kind }: RenderedObject, path: string): boolean {
  return perNode.some(one => one.kind === kind && one.parts.includes(path))
}

/**
 * What a program fetches while it runs unless a variable of its container says otherwise: no image and no URL is written
 * anywhere. Source: harbor-scanner-trivy, environment variables.
 */
const fetches: readonly { variable: string; unless: string; url: string }[] = [
  { variable: 'SCANNER_TRIVY_SKIP_UPDATE', unless: 'true', url: 'oci://ghcr.io/aquasecurity/trivy-db:2' },
  {
    variable: 'SCANNER_TRIVY_SKIP_JAVA_DB_UPDATE',
    unless: 'true',
    url: 'oci://ghcr.io/aquasecurity/trivy-java-db:1',
  },
]

export function fetchedUnless(variable: string, value: string): string[] {
  return fetches.filter(one => one.variable === variable && value !== one.unless).map(({ url }) => url)
}

/** The gate that keeps the part at `path` of the object from being started, if there is one. */
export function closedGate(object: RenderedObject, path: string): string | undefined {
  const found = gates.find(({ kind, parts }) => kind === object.kind && parts.includes(path))
  if (found === undefined) return undefined
  const value = found.gate.reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), object.value)
  return value === true ? undefined : found.gate.join('.')
}
