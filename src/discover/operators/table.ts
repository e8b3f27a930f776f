import { databases, postgres } from './databases.ts'
import { elastic } from './elastic.ts'
import { istio, network } from './mesh-and-network.ts'
import { prometheus, telemetry } from './monitoring.ts'
import { gpuOperator, networkOperator } from './nvidia.ts'
import type { OperatorRules } from './rule.ts'

/** The one list of what is known about operators. */
export const operators: readonly OperatorRules[] = [
  gpuOperator,
  networkOperator,
  elastic,
  prometheus,
  telemetry,
  postgres,
  databases,
  istio,
  network,
]
