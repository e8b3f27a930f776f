import { columns } from './columns.ts'
import type { ComposeRule, OperatorRules } from './rule.ts'

export const minio: OperatorRules = {
  operator: 'MinIO operator',
  source:
    'github.com/minio/operator v5.0.0 to v7.1.1: pkg/apis/minio.min.io/v2/constants.go, pkg/resources/statefulsets/minio-sidecar.go',
  program: 'minio/operator',
  knownTo: '7.1.1',
  defaults: {
    minio: {
      '5.0.10': 'minio/minio:RELEASE.2023-10-07T15-07-38Z',
      '5.0.11': 'minio/minio:RELEASE.2023-11-15T20-43-25Z',
      '5.0.12': 'minio/minio:RELEASE.2024-02-09T21-25-16Z',
      '5.0.13': 'minio/minio:RELEASE.2024-03-05T04-48-44Z',
      '5.0.14': 'minio/minio:RELEASE.2024-03-15T01-07-19Z',
      '5.0.15': 'minio/minio:RELEASE.2024-05-01T01-11-10Z',
      '5.0.17': 'minio/minio:RELEASE.2024-08-03T04-33-23Z',
      '5.0.18': 'minio/minio:RELEASE.2025-04-08T15-41-24Z',
      '6.0.0': 'minio/minio:RELEASE.2024-07-13T01-46-15Z',
      '6.0.1': 'minio/minio:RELEASE.2024-07-16T23-46-41Z',
      '6.0.2': 'minio/minio:RELEASE.2024-08-03T04-33-23Z',
      '6.0.3': 'minio/minio:RELEASE.2024-08-17T01-24-54Z',
      '6.0.4': 'minio/minio:RELEASE.2024-10-02T17-50-41Z',
      '7.0.0': 'minio/minio:RELEASE.2024-11-07T00-52-20Z',
      '7.0.1': 'minio/minio:RELEASE.2025-03-12T18-04-18Z',
      '7.1.0': 'minio/minio:RELEASE.2025-04-08T15-41-24Z',
    },
    kes: {
      '5.0.10': 'minio/kes:2023-10-03T00-48-37Z',
      '5.0.11': 'minio/kes:2023-11-10T10-44-28Z',
      '5.0.12': 'minio/kes:2024-01-11T13-09-29Z',
      '5.0.13': 'minio/kes:2024-03-01T18-06-46Z',
      '5.0.14': 'minio/kes:2024-03-13T17-52-13Z',
      '5.0.15': 'minio/kes:2024-04-12T13-50-00Z',
      '5.0.17': 'minio/kes:2024-06-17T15-47-05Z',
      '5.0.18': 'minio/kes:2025-03-12T09-35-18Z',
      '6.0.0': 'minio/kes:2024-06-17T15-47-05Z',
      '6.0.3': 'minio/kes:2024-08-16T14-39-28Z',
      '6.0.4': 'minio/kes:2024-09-11T07-22-50Z',
      '7.0.0': 'minio/kes:2024-11-25T13-44-31Z',
      '7.0.1': 'minio/kes:2025-03-12T09-35-18Z',
    },
    sidecar: {
      // before, the operator's own image
      '5.0.10': '{program}',
      '5.0.16': 'quay.io/minio/operator-sidecar:latest',
      '5.0.17': 'quay.io/minio/operator-sidecar:v6.0.0',
      '5.0.18': 'quay.io/minio/operator-sidecar:v7.0.1',
      '6.0.0': 'quay.io/minio/operator-sidecar:v6.0.0',
      '6.0.3': 'quay.io/minio/operator-sidecar:v6.0.2',
      '7.0.0': 'quay.io/minio/operator-sidecar:v7.0.0',
      '7.0.1': 'quay.io/minio/operator-sidecar:v7.0.1',
    },
  },
  composes: [
    {
      kind: 'Tenant',
      group: 'minio.min.io',
      unless: ['spec.image'],
      image: '{env:TENANT_MINIO_IMAGE|default:minio}',
    },
    {
      kind: 'Tenant',
      group: 'minio.min.io',
      when: 'spec.kes',
      unless: ['spec.kes.image'],
      image: '{env:TENANT_KES_IMAGE|default:kes}',
    },
    { kind: 'Tenant', group: 'minio.min.io', image: '{env:OPERATOR_SIDECAR_IMAGE|default:sidecar}' },
  ],
}

export const rook: OperatorRules = {
  operator: 'Rook',
  source: 'github.com/rook/rook v1.14.0 to v1.20.6: pkg/operator/ceph/object/cosi/spec.go',
  program: 'rook/ceph',
  knownTo: '1.20.6',
  defaults: {
    cosi: {
      '1.14.0': 'quay.io/ceph/cosi:v0.1.1',
      '1.15.0': 'quay.io/ceph/cosi:v0.1.2',
      '1.19.4': 'quay.io/ceph/cosi:v0.1.4',
    },
    sidecar: {
      '1.14.0':
        'gcr.io/k8s-staging-sig-storage/objectstorage-sidecar/objectstorage-sidecar:v20230130-v0.1.0-24-gc0cf995',
      '1.15.0': 'gcr.io/k8s-staging-sig-storage/objectstorage-sidecar:v20240513-v0.1.0-35-gefb3255',
      '1.19.4': 'gcr.io/k8s-staging-sig-storage/objectstorage-sidecar:v0.2.2',
    },
  },
  composes: [
    {
      kind: 'CephCOSIDriver',
      group: 'ceph.rook.io',
      unless: ['spec.image', 'spec.deploymentStrategy=Never'],
      image: '{default:cosi}',
    },
    {
      kind: 'CephCOSIDriver',
      group: 'ceph.rook.io',
      unless: ['spec.objectProvisionerImage', 'spec.deploymentStrategy=Never'],
      image: '{default:sidecar}',
    },
  ],
}

const ubi = 'registry.access.redhat.com/ubi9/ubi'

export const scylla: OperatorRules = {
  operator: 'Scylla operator',
  source:
    'github.com/scylladb/scylla-operator v1.14.0 to v1.21.1: assets/config/config.yaml, pkg/controller/scylladbdatacenter, pkg/controller/scylladbmonitoring',
  program: 'scylladb/scylla-operator',
  knownTo: '1.21.1',
  defaults: {
    // newer versions start a container with it
    exporter: { '1.14.0': '' },
    grafana: {
      '1.14.0':
        'docker.io/grafana/grafana:9.5.12@sha256:7d2f2a8b7aebe30bf3f9ae0f190e508e571b43f65753ba3b1b1adf0800bc9256',
      '1.15.0':
        'docker.io/grafana/grafana:11.3.0@sha256:a0f881232a6fb71a0554a47d0fe2203b6888fe77f4cefb7ea62bed7eb54e13c3',
      '1.17.0':
        'docker.io/grafana/grafana:11.4.3@sha256:95eb8900c1e40e89b3e907094383b1c76c0c166ad5ec85e635de86f114aa7184',
      '1.18.0':
        'docker.io/grafana/grafana:12.0.2-security-01@sha256:9047b1d7ec7bfad6a7e6542e7f1782b2337e18af8ebf4f21cf5327e903dac830',
      '1.19.0':
        'docker.io/grafana/grafana:12.2.0@sha256:74144189b38447facf737dfd0f3906e42e0776212bf575dc3334c3609183adf7',
      '1.20.2': 'docker.io/grafana/grafana:12.3.3',
      '1.21.0': 'docker.io/grafana/grafana:12.4.2',
    },
    bash: {
      '1.14.0': `${ubi}:9.3-1361.1699548029@sha256:6b95efc134c2af3d45472c0a2f88e6085433df058cc210abb2bb061ac4d74359`,
      '1.15.0': `${ubi}:9.5-1731517889@sha256:2bae9062eddbbc18e76555972e7026ffe02cef560a0076e6d7f72bed2c05723f`,
      '1.17.0': `${ubi}:9.5-1745854298@sha256:f4ebd46d3ba96feb016d798009e1cc2404c3a4ebdac8b2479a2ac053e59f41b4`,
    },
    utils: {
      '1.14.0':
        'docker.io/scylladb/scylla:5.4.0@sha256:b9070afdb2be0d5c59b1c196e1bb66660351403cb30d5c6ba446ef8c3b0754f1',
      '1.15.0':
        'docker.io/scylladb/scylla:6.2.0@sha256:5b53a7c60d9f9555bb87791ff29b2e633c6f472aec00de7afaf4db1addc6d594',
      '1.17.0':
        'docker.io/scylladb/scylla:2025.1.2@sha256:84e914792c61a7703ff616bf6ee6d4becbcf68845221bd2458fcab10ef64302c',
      '1.18.0':
        'docker.io/scylladb/scylla:2025.1.5@sha256:acd61debf250089e926db5c6a0d4675d42324feadec3965c04f9b6a7f7679216',
      '1.19.0':
        'docker.io/scylladb/scylla:2025.1.9@sha256:64e1c947b2ed7f50fe13b8e0b96affba91dbe0d487720217c4bf288568eed02b',
      '1.20.2':
        'docker.io/scylladb/scylla:2026.1.0@sha256:d450d2d8636ab7b511b68180b4c535bf2294d0d6427adf11fc7f4bddfdbff35a',
    },
  },
  composes: [
    {
      kind: 'ScyllaCluster',
      group: 'scylla.scylladb.com',
      image: '{spec.repository|docker.io/scylladb/scylla}:{spec.version}',
    },
    {
      kind: 'ScyllaCluster',
      group: 'scylla.scylladb.com',
      when: 'spec.agentVersion',
      image: '{spec.agentRepository|docker.io/scylladb/scylla-manager-agent}:{spec.agentVersion}',
    },
    { kind: 'ScyllaCluster', group: 'scylla.scylladb.com', image: '{default:exporter}' },
    { kind: 'ScyllaDBMonitoring', group: 'scylla.scylladb.com', image: '{default:grafana}' },
    { kind: 'ScyllaDBMonitoring', group: 'scylla.scylladb.com', image: '{default:bash}' },
    { kind: 'NodeConfig', group: 'scylla.scylladb.com', image: '{default:utils}' },
  ],
}

const sig = 'registry.k8s.io/sig-storage/csi'
const cephImages: Readonly<Record<string, string>> = {
  plugin: 'quay.io/cephcsi/cephcsi',
  addons: 'quay.io/csiaddons/k8s-sidecar',
  registrar: `${sig}-node-driver-registrar`,
}

const driver = (name: string, more: Partial<ComposeRule> = {}): ComposeRule => ({
  kind: 'Driver',
  group: 'csi.ceph.io',
  // the image set is a ConfigMap with these keys
  image: `{setting:${name}|default:${name}}`,
  ...more,
})

export const cephCsi: OperatorRules = {
  operator: 'Ceph CSI operator',
  source:
    'github.com/ceph/ceph-csi-operator v0.2.0 to v1.0.4: internal/controller/defaults.go, internal/controller/driver_controller.go',
  program: ['cephcsi/ceph-csi-operator', 'ceph-csi-operator'],
  knownTo: '1.0.4',
  defaults: Object.fromEntries(
    Object.entries(
      columns(['provisioner', 'attacher', 'resizer', 'snapshotter', 'registrar', 'plugin', 'addons'], {
        '0.2.0': 'v5.0.1 v4.6.1 v1.11.1 v8.2.0 v2.11.1 v3.12.2 v0.10.0',
        '0.3.0': 'v5.3.0 v4.9.0 v1.14.0 v8.2.0 v2.14.1 v3.14.0 v0.12.0',
        '0.3.1': 'v5.3.0 v4.9.0 v1.13.2 v8.2.0 v2.14.0 v3.14.0 v0.12.0',
        '0.4.0': 'v5.3.0 v4.9.0 v1.13.2 v8.2.0 v2.14.0 v3.14.1 v0.12.0',
        '0.4.1': 'v5.3.0 v4.9.0 v1.13.2 v8.2.0 v2.14.0 v3.15.0 v0.13.0',
        '0.5.0': 'v6.0.0 v4.10.0 v2.0.0 v8.4.0 v2.15.0 v3.16.0 v0.14.0',
        '0.6.0': 'v6.2.0 v4.11.0 v2.1.0 v8.5.0 v2.16.0 v3.16.2 v0.14.0',
        '1.0.1': 'v6.2.0 v4.12.0 v2.1.0 v8.5.0 v2.17.0 v3.17.0 v0.14.0',
      }),
    ).map(([name, versions]) => [
      name,
      Object.fromEntries(
        Object.entries(versions).map(([from, tag]) => [
          from,
          `${cephImages[name] ?? `${sig}-${name}`}:${tag}`,
        ]),
      ),
    ]),
  ),
  composes: [
    driver('plugin'),
    driver('registrar'),
    driver('provisioner'),
    driver('resizer'),
    driver('attacher'),
    driver('snapshotter', { unless: ['spec.snapshotPolicy=none'] }),
    driver('addons', { when: 'spec.deployCsiAddons' }),
  ],
}
