import type { OperatorRules } from './rule.ts'

const sandbox = 'spec.sandboxWorkloads.enabled'

export const gpuOperator: OperatorRules = {
  operator: 'NVIDIA GPU Operator',
  source:
    'NVIDIA/gpu-operator v24.9.2 and v26.3.3: controllers/state_manager.go, controllers/object_controls.go, internal/image',
  gates: [
    {
      kind: 'ClusterPolicy',
      gate: sandbox,
      open: true,
      parts: [
        'spec.vfioManager',
        'spec.sandboxDevicePlugin',
        'spec.kataSandboxDevicePlugin',
        'spec.vgpuManager',
        'spec.vgpuDeviceManager',
        'spec.kataManager',
        'spec.ccManager',
      ],
    },
    { kind: 'ClusterPolicy', gate: 'spec.driver.useNvidiaDriverCRD', open: false, parts: ['spec.driver'] },
    { kind: 'ClusterPolicy', parts: ['spec.operator.initContainer'], reason: 'only OpenShift uses it' },
  ],
  variableGates: [{ variable: 'DRIVER_MANAGER_IMAGE', kind: 'ClusterPolicy', gate: 'spec.driver.enabled' }],
  perNode: [
    { kind: 'ClusterPolicy', parts: ['spec.driver', 'spec.vgpuManager'] },
    { kind: 'NVIDIADriver', parts: ['spec'] },
  ],
}

export const networkOperator: OperatorRules = {
  operator: 'NVIDIA Network Operator',
  source: 'Mellanox/network-operator v25.10.0: pkg/state/state_ofed.go',
  perNode: [{ kind: 'NicClusterPolicy', parts: ['spec.ofedDriver', 'spec.docaDriver'] }],
}
