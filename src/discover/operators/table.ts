import { corootOperator, falco, humio, instana } from './agents.ts'
import { tigera } from './calico.ts'
import {
  etcdDruid,
  etcdOperator,
  kamaji,
  karmada,
  rancher,
  remoteManifests,
  submariner,
  vCluster,
} from './clusters.ts'
import { cloudNativePg, databases, postgres, rabbitmq } from './databases.ts'
import { elastic } from './elastic.ts'
import { flux } from './flux.ts'
import { envoyGateway } from './gateways.ts'
import { arangoDb, greptimeDb, hazelcast, nebula } from './graph-databases.ts'
import { knative } from './knative.ts'
import { loggingOperator } from './logging.ts'
import { istio, network, sail } from './mesh-and-network.ts'
import { datadog, grafana, prometheus, telemetry } from './monitoring.ts'
import {
  cassandra,
  cassKop,
  dragonfly,
  k8ssandra,
  milvus,
  redis,
  redpanda,
  solr,
  zookeeper,
} from './nosql-databases.ts'
import { gpuOperator, networkOperator } from './nvidia.ts'
import {
  alloyOperator,
  argoCd,
  awx,
  gitLabRunner,
  jaeger,
  k6Operator,
  kiali,
  kubeVirt,
  rolloutsManager,
  terraform,
  trident,
  vaultOperator,
} from './platform.ts'
import type { OperatorRules } from './rule.ts'
import { kubeArmor, workloadIdentity } from './security.ts'
import {
  clickHouse,
  clickHouseInc,
  cockroachDb,
  crateDb,
  mongoDb,
  mysql,
  tiDb,
  ydb,
} from './sql-databases.ts'
import { stackable } from './stackable.ts'
import { cephCsi, minio, rook, scylla } from './storage.ts'
import { argoEvents, debezium, koperator } from './streaming.ts'
import { openSearch, openTelemetry } from './telemetry.ts'
import { victoriaMetrics } from './victoria-metrics.ts'
import {
  artemis,
  bitpoke,
  camelK,
  jenkins,
  kongGateway,
  mattermost,
  temporal,
  trainingOperator,
} from './workloads.ts'

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
  cephCsi,
  scylla,
  postgres,
  databases,
  mysql,
  clickHouse,
  clickHouseInc,
  ydb,
  tiDb,
  mongoDb,
  solr,
  zookeeper,
  redis,
  dragonfly,
  cassandra,
  k8ssandra,
  cassKop,
  milvus,
  redpanda,
  debezium,
  koperator,
  argoEvents,
  argoCd,
  kiali,
  jaeger,
  k6Operator,
  alloyOperator,
  loggingOperator,
  vaultOperator,
  trident,
  kubeVirt,
  gitLabRunner,
  awx,
  istio,
  sail,
  network,
  knative,
  corootOperator,
  falco,
  humio,
  instana,
  karmada,
  kamaji,
  etcdDruid,
  etcdOperator,
  submariner,
  vCluster,
  remoteManifests,
  rancher,
  flux,
  nebula,
  arangoDb,
  greptimeDb,
  hazelcast,
  mattermost,
  artemis,
  bitpoke,
  temporal,
  kongGateway,
  camelK,
  jenkins,
  trainingOperator,
  kubeArmor,
  workloadIdentity,
  crateDb,
  cockroachDb,
  rolloutsManager,
  terraform,
  ...stackable,
]
