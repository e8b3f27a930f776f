import type { ChoiceRule, OperatorRules } from './rule.ts'

const catalog = (kind: string): ChoiceRule => ({
  kind,
  group: 'postgresql.cnpg.io',
  list: 'spec.images',
  key: 'major',
  chosenBy: { kind: 'Cluster', group: 'postgresql.cnpg.io', path: 'spec.imageCatalogRef.major' },
})

export const cloudNativePg: OperatorRules = {
  operator: 'CloudNativePG',
  source:
    'github.com/cloudnative-pg/cloudnative-pg v1.22.0 to v1.30.0: pkg/versions/versions.go, pkg/specs/pgbouncer/deployments.go, internal/configuration',
  program: 'cloudnative-pg',
  knownTo: '1.30.0',
  defaults: {
    postgres: {
      '1.22.0': 'ghcr.io/cloudnative-pg/postgresql:16.1',
      '1.22.2': 'ghcr.io/cloudnative-pg/postgresql:16.2',
      '1.22.4': 'ghcr.io/cloudnative-pg/postgresql:16.3',
      '1.23.0': 'ghcr.io/cloudnative-pg/postgresql:16.2',
      '1.23.2': 'ghcr.io/cloudnative-pg/postgresql:16.3',
      '1.23.4': 'ghcr.io/cloudnative-pg/postgresql:16.4',
      '1.23.5': 'ghcr.io/cloudnative-pg/postgresql:17.0',
      '1.23.6': 'ghcr.io/cloudnative-pg/postgresql:17.2',
      '1.24.0': 'ghcr.io/cloudnative-pg/postgresql:16.4',
      '1.24.1': 'ghcr.io/cloudnative-pg/postgresql:17.0',
      '1.24.2': 'ghcr.io/cloudnative-pg/postgresql:17.2',
      '1.24.3': 'ghcr.io/cloudnative-pg/postgresql:17.4',
      '1.24.4': 'ghcr.io/cloudnative-pg/postgresql:17.5',
      '1.25.0': 'ghcr.io/cloudnative-pg/postgresql:17.2',
      '1.25.1': 'ghcr.io/cloudnative-pg/postgresql:17.4',
      '1.25.2': 'ghcr.io/cloudnative-pg/postgresql:17.5',
      '1.25.4': 'ghcr.io/cloudnative-pg/postgresql:18.0-system-trixie',
      '1.26.0': 'ghcr.io/cloudnative-pg/postgresql:17.5',
      '1.26.2': 'ghcr.io/cloudnative-pg/postgresql:18.0-system-trixie',
      '1.26.3': 'ghcr.io/cloudnative-pg/postgresql:18.1-system-trixie',
      '1.27.0': 'ghcr.io/cloudnative-pg/postgresql:17.5',
      '1.27.1': 'ghcr.io/cloudnative-pg/postgresql:18.0-system-trixie',
      '1.27.2': 'ghcr.io/cloudnative-pg/postgresql:18.1-system-trixie',
      '1.27.4': 'ghcr.io/cloudnative-pg/postgresql:18.3-system-trixie',
      '1.28.0': 'ghcr.io/cloudnative-pg/postgresql:18.1-system-trixie',
      '1.28.2': 'ghcr.io/cloudnative-pg/postgresql:18.3-system-trixie',
      '1.28.4': 'ghcr.io/cloudnative-pg/postgresql:18.4-system-trixie',
      '1.29.0': 'ghcr.io/cloudnative-pg/postgresql:18.3-system-trixie',
      '1.29.2': 'ghcr.io/cloudnative-pg/postgresql:18.4-system-trixie',
    },
    bouncer: {
      '1.22.0': 'ghcr.io/cloudnative-pg/pgbouncer:1.21.0',
      '1.22.2': 'ghcr.io/cloudnative-pg/pgbouncer:1.22.1',
      '1.22.5': 'ghcr.io/cloudnative-pg/pgbouncer:1.23.0',
      '1.23.0': 'ghcr.io/cloudnative-pg/pgbouncer:1.22.1',
      '1.23.3': 'ghcr.io/cloudnative-pg/pgbouncer:1.23.0',
      '1.24.3': 'ghcr.io/cloudnative-pg/pgbouncer:1.24.0',
      '1.24.4': 'ghcr.io/cloudnative-pg/pgbouncer:1.24.1',
      '1.25.0': 'ghcr.io/cloudnative-pg/pgbouncer:1.23.0',
      '1.25.1': 'ghcr.io/cloudnative-pg/pgbouncer:1.24.0',
      '1.25.2': 'ghcr.io/cloudnative-pg/pgbouncer:1.24.1',
      '1.26.3': 'ghcr.io/cloudnative-pg/pgbouncer:1.25.1',
      '1.27.0': 'ghcr.io/cloudnative-pg/pgbouncer:1.24.1',
      '1.27.2': 'ghcr.io/cloudnative-pg/pgbouncer:1.25.1',
    },
  },
  choices: [catalog('ImageCatalog'), catalog('ClusterImageCatalog')],
  composes: [
    {
      kind: 'Cluster',
      group: 'postgresql.cnpg.io',
      unless: ['spec.imageName', 'spec.imageCatalogRef'],
      image: '{env:POSTGRES_IMAGE_NAME|setting:POSTGRES_IMAGE_NAME|default:postgres}',
    },
    {
      kind: 'Pooler',
      group: 'postgresql.cnpg.io',
      unless: ['spec.template.spec.containers.*.image', 'spec.pgbouncer.image'],
      image: '{env:PGBOUNCER_IMAGE_NAME|setting:PGBOUNCER_IMAGE_NAME|default:bouncer}',
    },
  ],
}

export const rabbitmq: OperatorRules = {
  operator: 'RabbitMQ cluster operator',
  source: 'github.com/rabbitmq/cluster-operator v2.0.0 to v2.22.3: main.go, cmd/main.go',
  program: 'cluster-operator',
  knownTo: '2.22.3',
  defaults: {
    rabbitmq: {
      '2.0.0': 'rabbitmq:3.10.2-management',
      '2.2.0': 'rabbitmq:3.11.10-management',
      '2.3.0': 'rabbitmq:3.11.18-management',
      '2.4.0': 'rabbitmq:3.12.2-management',
      '2.8.0': 'rabbitmq:3.13.1-management',
      '2.9.0': 'rabbitmq:3.13.2-management',
      '2.10.0': 'rabbitmq:3.13.7-management',
      '2.12.0': 'rabbitmq:4.0.5-management',
      '2.13.0': 'rabbitmq:4.1.0-management',
      '2.15.0': 'rabbitmq:4.1.1-management',
      '2.16.1': 'rabbitmq:4.1.3-management',
      '2.21.0': 'rabbitmq:4.2.6-management',
    },
  },
  composes: [
    {
      kind: 'RabbitmqCluster',
      group: 'rabbitmq.com',
      unless: ['spec.image'],
      image: '{env:DEFAULT_RABBITMQ_IMAGE|default:rabbitmq}',
    },
  ],
}

export const postgres: OperatorRules = {
  operator: 'operators for PostgreSQL',
  source: 'zalando/postgres-operator: docs/reference/operator_parameters.md; crunchydata: internal/config',
  unseen: [
    { kind: 'postgresql', group: 'acid.zalan.do', unless: ['spec.dockerImage'], knownBy: 'docker_image' },
    {
      kind: 'PostgresCluster',
      group: 'postgres-operator.crunchydata.com',
      unless: ['spec.image'],
      knownBy: 'RELATED_IMAGE_POSTGRES',
    },
  ],
}

export const databases: OperatorRules = {
  operator: 'operators for other databases and queues',
  source: 'the defaults of each operator, compiled in or in its variables',
  unseen: [
    { kind: 'SGCluster', group: 'stackgres.io' },
    {
      kind: 'Kafka',
      group: 'kafka.strimzi.io',
      unless: ['spec.kafka.image'],
      knownBy: 'STRIMZI_KAFKA_IMAGES',
    },
    {
      kind: 'KafkaConnect',
      group: 'kafka.strimzi.io',
      unless: ['spec.image'],
      knownBy: 'STRIMZI_KAFKA_CONNECT_IMAGES',
    },
    {
      kind: 'KafkaMirrorMaker2',
      group: 'kafka.strimzi.io',
      unless: ['spec.image'],
      knownBy: 'STRIMZI_KAFKA_MIRROR',
    },
    {
      kind: 'KafkaBridge',
      group: 'kafka.strimzi.io',
      unless: ['spec.image'],
      knownBy: 'STRIMZI_DEFAULT_KAFKA_BRIDGE_IMAGE',
    },
    { kind: 'MariaDB', group: 'k8s.mariadb.com', unless: ['spec.image'], knownBy: 'RELATED_IMAGE_MARIADB' },
    {
      kind: 'Keycloak',
      group: 'k8s.keycloak.org',
      unless: ['spec.image'],
      knownBy: 'RELATED_IMAGE_KEYCLOAK',
    },
  ],
}
