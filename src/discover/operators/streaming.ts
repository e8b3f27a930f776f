import type { ChoiceRule, OperatorRules } from './rule.ts'

export const debezium: OperatorRules = {
  operator: 'Debezium operator',
  source:
    'github.com/debezium/debezium-operator v3.6: debezium-operator-core/src/main/java/io/debezium/operator/core/ServerImageProvider.java',
  program: 'debezium/operator',
  composes: [
    {
      kind: 'DebeziumServer',
      group: 'debezium.io',
      unless: ['spec.image'],
      image: 'quay.io/debezium/server:{spec.version|program.tag}',
    },
  ],
}

export const koperator: OperatorRules = {
  operator: 'Koperator',
  source: 'github.com/banzaicloud/koperator v0.28.8: api/v1beta1/kafkacluster_types.go',
  program: 'kafka-operator',
  knownTo: '0.28.8',
  defaults: {
    kafka: { '0.28.8': 'ghcr.io/banzaicloud/kafka:2.13-3.4.1' },
    cruiseControl: { '0.28.8': 'ghcr.io/banzaicloud/cruise-control:2.5.123' },
    exporter: { '0.28.8': 'ghcr.io/banzaicloud/jmx-javaagent:0.16.1' },
  },
  composes: [
    {
      kind: 'KafkaCluster',
      group: 'kafka.banzaicloud.io',
      unless: ['spec.clusterImage'],
      image: '{default:kafka}',
    },
    {
      kind: 'KafkaCluster',
      group: 'kafka.banzaicloud.io',
      when: 'spec.cruiseControlConfig',
      unless: ['spec.cruiseControlConfig.image', 'spec.cruiseControlConfig.cruiseControlEndpoint'],
      image: '{default:cruiseControl}',
    },
    {
      kind: 'KafkaCluster',
      group: 'kafka.banzaicloud.io',
      unless: ['spec.monitoringConfig.jmxImage'],
      image: '{default:exporter}',
    },
  ],
}

const eventBus = (kind: string, list: string): ChoiceRule => ({
  kind: 'ConfigMap',
  list: `eventBus.${list}.versions`,
  key: 'version',
  chosenBy: { kind: 'EventBus', group: 'argoproj.io', path: `spec.${kind}.version` },
})

export const argoEvents: OperatorRules = {
  operator: 'Argo Events',
  source: 'github.com/argoproj/argo-events v1.9: pkg/reconciler/config.go, controller-config',
  choices: [eventBus('jetstream', 'jetstream'), eventBus('nats.native', 'nats')],
}
