import { isRecord, type RenderedObject } from './documents.ts'

/**
 * Parts of custom resources that an operator starts only if a gate elsewhere in the resource is true, besides their own
 * `enabled`. Source: NVIDIA gpu-operator v24.9.2, controllers/state_manager.go (sandbox workloads) and api/nvidia/v1.
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
 * Parts to whose tag the operator appends the OS of each node, as in `driver:550.144.03-ubuntu22.04`: one image for each OS of
 * the site. Source: gpu-operator v24.9.2, internal/image and controllers/object_controls.go.
 */
const perNode: readonly { kind: string; parts: readonly string[] }[] = [
  { kind: 'ClusterPolicy', parts: ['spec.driver', 'spec.vgpuManager'] },
]

/** Whether the operator appends the OS of each node to the tag of the part at `path`. */
export function isPerNode({ kind }: RenderedObject, path: string): boolean {
  return perNode.some(one => one.kind === kind && one.parts.includes(path))
}

/**
 * What a program fetches at run time unless a variable of its container disables that; the image or URL is not in the
 * manifest. Source: harbor-scanner-trivy, environment variables.
 */
const fetches: readonly { variable: string; unless: string; url: string }[] = [
  { variable: 'SCANNER_TRIVY_SKIP_UPDATE', unless: 'true', url: 'oci://ghcr.io/aquasecurity/trivy-db:2' },
  {
    variable: 'SCANNER_TRIVY_SKIP_JAVA_DB_UPDATE',
    unless: 'true',
    url: 'oci://ghcr.io/aquasecurity/trivy-java-db:1',
  },
]

/** Returns what the container fetches because of the value of this variable. */
export function fetchedUnless(variable: string, value: string): string[] {
  return fetches.filter(one => one.variable === variable && value !== one.unless).map(({ url }) => url)
}

/** Returns the gate that prevents the part at `path` of the object from being started, if any. */
export function closedGate(object: RenderedObject, path: string): string | undefined {
  const found = gates.find(({ kind, parts }) => kind === object.kind && parts.includes(path))
  if (found === undefined) return undefined
  const value = found.gate.reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), object.value)
  return value === true ? undefined : found.gate.join('.')
}
