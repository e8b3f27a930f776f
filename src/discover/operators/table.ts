import { tigera } from './calico.ts'
import { cloudNativePg, databases, postgres, rabbitmq } from './databases.ts'
import { elastic } from './elastic.ts'
import { envoyGateway } from './gateways.ts'
import { istio, network } from './mesh-and-network.ts'
import { datadog, grafana, prometheus, telemetry } from './monitoring.ts'
import { gpuOperator, networkOperator } from './nvidia.ts'
import type { OperatorRules } from './rule.ts'
import { minio, rook, scylla } from './storage.ts'
import { openSearch, openTelemetry } from './telemetry.ts'
import { victoriaMetrics } from './victoria-metrics.ts'

/** The one list of what is known about operators. */
export const operators: readonly OperatorRules[] = [
  gpuOperator,
  networkOperator,
  elastic,
  prometheus,
  grafana,
  datadog,
  telemetry,
  tigera,
  envoyGateway,
  cloudNativePg,
  rabbitmq,
  victoriaMetrics,
  openTelemetry,
  openSearch,
  minio,
  rook,
  scylla,
  postgres,
  databases,
  istio,
  network,
]
