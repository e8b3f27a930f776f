import { describe, expect, it } from 'vitest'
import { collect } from '../../src/discover/collect.ts'
import { renderedObjects } from '../../src/discover/documents.ts'

const found = (...texts: string[]) =>
  collect([{ release: 'r', objects: renderedObjects(texts.join('\n---\n'), 'r') }])
const undecided = (...texts: string[]) => found(...texts).undecided.map(({ subject }) => subject)

const resource = (apiVersion: string, kind: string, spec: string) =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: n}\nspec: ${spec}\n`

/** The workload of an operator. */
const program = (image: string, more = '') =>
  resource(
    'apps/v1',
    'Deployment',
    `{template: {spec: {containers: [{name: o, image: "${image}"${more === '' ? '' : `, ${more}`}}]}}}`,
  )
const env = (values: Readonly<Record<string, string>>) =>
  `env: ${JSON.stringify(Object.entries(values).map(([name, value]) => ({ name, value })))}`

/** The images that operators compose. */
const composed = (...texts: string[]) =>
  found(...texts)
    .images.filter(({ seen }) => seen.how === 'operator')
    .map(({ text }) => text)

describe('operators whose resources have a version', () => {
  it('of Stackable: the repository of the operator, the product, and both versions', () => {
    const operator = program('oci.stackable.tech/sdp/zookeeper-operator:26.7.0')
    const cluster = (image: string) =>
      resource('zookeeper.stackable.tech/v1alpha1', 'ZookeeperCluster', `{image: ${image}}`)
    expect(composed(operator, cluster('{productVersion: 3.9.5}'))).toEqual([
      'oci.stackable.tech/sdp/zookeeper:3.9.5-stackable26.7.0',
    ])
    const mirrored = program(
      'r.example/sdp/zookeeper-operator:26.7.0',
      env({ IMAGE_REPOSITORY: 'r.example/sdp' }),
    )
    expect(composed(mirrored, cluster('{productVersion: 3.9.5}'))).toEqual([
      'r.example/sdp/zookeeper:3.9.5-stackable26.7.0',
    ])
    expect(undecided(mirrored, cluster('{productVersion: 3.9.5}'))).toEqual([])
    expect(composed(operator, cluster('{productVersion: 3.9.5, stackableVersion: 26.3.0}'))).toEqual([
      'oci.stackable.tech/sdp/zookeeper:3.9.5-stackable26.3.0',
    ])
    expect(composed(operator, cluster('{custom: "r.example/zk:1", productVersion: 3.9.5}'))).toEqual([])
    expect(undecided(cluster('{productVersion: 3.9.5}'))).toEqual(['ZookeeperCluster n'])
  })

  it('of Submariner: a list of components under one repository', () => {
    const spec = (more: string) =>
      resource(
        'submariner.io/v1alpha1',
        'Submariner',
        `{repository: quay.io/submariner, version: 0.19.1, ${more}}`,
      )
    expect(composed(spec('serviceDiscoveryEnabled: false'))).toEqual([
      'quay.io/submariner/submariner-gateway:0.19.1',
      'quay.io/submariner/submariner-route-agent:0.19.1',
      'quay.io/submariner/nettest:0.19.1',
    ])
    expect(undecided(spec('serviceDiscoveryEnabled: false'))).toEqual([])
    expect(composed(spec('serviceDiscoveryEnabled: true, globalCIDR: 242.0.0.0/8'))).toHaveLength(6)
    expect(composed(spec('imageOverrides: {submariner-gateway: "r.example/gw:1"}'))).not.toContain(
      'quay.io/submariner/submariner-gateway:0.19.1',
    )
  })

  it('of Kamaji: the control plane of a tenant', () => {
    const tenant = resource(
      'kamaji.clastix.io/v1alpha1',
      'TenantControlPlane',
      '{kubernetes: {version: v1.33.1}, addons: {kubeProxy: {}, coreDNS: {}}}',
    )
    expect(composed(tenant)).toEqual([
      'registry.k8s.io/kube-apiserver:v1.33.1',
      'registry.k8s.io/kube-controller-manager:v1.33.1',
      'registry.k8s.io/kube-scheduler:v1.33.1',
      'registry.k8s.io/kube-proxy:v1.33.1',
    ])
    expect(undecided(tenant)).toEqual(['TenantControlPlane n'])
  })

  it('of Flux: its components, with digests', () => {
    const operator = program('ghcr.io/controlplaneio-fluxcd/flux-operator:v0.58.1')
    const instance = (version: string, more = '') =>
      resource(
        'fluxcd.controlplane.io/v1',
        'FluxInstance',
        `{distribution: {version: ${version}, registry: ghcr.io/fluxcd}${more}}`,
      )
    const images = composed(operator, instance('2.6.4'))
    expect(images.map(image => image.replace(/@sha256:[0-9a-f]{64}$/, '@'))).toEqual([
      'ghcr.io/fluxcd/source-controller:v1.6.2@',
      'ghcr.io/fluxcd/kustomize-controller:v1.6.1@',
      'ghcr.io/fluxcd/helm-controller:v1.3.0@',
      'ghcr.io/fluxcd/notification-controller:v1.6.0@',
    ])
    expect(composed(operator, instance('2.6.4', ', components: [source-controller]'))).toEqual([images[0]])
    // the newest one of a range is looked up when it runs
    const range = instance('2.x')
    expect([composed(operator, range), undecided(operator, range)]).toEqual([[], ['FluxInstance n']])
    const mirrored = instance('2.6.4').replace('ghcr.io/fluxcd', 'r.example/fluxcd')
    expect([composed(operator, mirrored), undecided(operator, mirrored)]).toEqual([[], ['FluxInstance n']])
  })

  it('of Knative: what the operator has in its own image', () => {
    const operator = program('gcr.io/knative-releases/knative.dev/operator/cmd/operator:v1.20.1')
    const eventing = (spec: string) => resource('operator.knative.dev/v1beta1', 'KnativeEventing', spec)
    const [preset, stated] = [composed(operator, eventing('{}')), eventing('{version: 1.20.0}')]
    expect(preset).toHaveLength(11)
    expect(preset[0]).toMatch(
      /^gcr\.io\/knative-releases\/knative\.dev\/eventing\/cmd\/broker\/filter@sha256:[0-9a-f]{64}$/,
    )
    expect(composed(operator, stated)).toEqual(preset)
    expect(composed(operator, eventing('{version: 1.21.0}'))).not.toEqual(preset)
    expect(undecided(operator, stated)).toEqual([])
    for (const spec of ['{version: 1.99.0}', '{registry: {default: "r.example/${NAME}"}}'])
      expect([composed(operator, eventing(spec)), undecided(operator, eventing(spec))]).toEqual([
        [],
        ['KnativeEventing n'],
      ])
    const serving = resource('operator.knative.dev/v1beta1', 'KnativeServing', '{}')
    expect([composed(operator, serving).length, undecided(operator, serving)]).toEqual([
      8,
      ['KnativeServing n'],
    ])
  })

  it('of Temporal: tools of a release series', () => {
    const operator = program('ghcr.io/alexandrevilain/temporal-operator:v0.22.0')
    const cluster = (version: string) =>
      resource('temporal.io/v1beta1', 'TemporalCluster', `{version: ${version}, ui: {enabled: true}}`)
    expect(composed(operator, cluster('1.24.3'))).toEqual([
      'temporalio/server:1.24.3',
      'temporalio/ui:2.27.3',
      'temporalio/admin-tools:1.24.2-tctl-1.18.1-cli-1.0.0',
    ])
    expect(undecided(operator, cluster('1.24.3'))).toEqual([])
    expect(undecided(operator, cluster('1.28.0'))).toEqual(['TemporalCluster n'])
  })
})

describe('operators with default images', () => {
  it.each([
    [
      'humio/humio-operator:0.31.0',
      resource('core.humio.com/v1alpha1', 'HumioCluster', '{}'),
      ['humio/humio-core:1.159.1', 'humio/humio-operator-helper:18b8d8df927ae03ead82162ba8f1171960c1b275'],
    ],
    [
      'vesoft/nebula-operator:v1.8.8',
      resource('apps.nebula-graph.io/v1alpha1', 'NebulaCluster', '{graphd: {version: v3.6.0}}'),
      ['vesoft/nebula-graphd:v3.6.0', 'vesoft/nebula-alpine:latest'],
    ],
    [
      'docker.io/karmada/karmada-operator:v1.17.1',
      resource(
        'operator.karmada.io/v1alpha1',
        'Karmada',
        '{components: {karmadaSearch: {imageRepository: r.example/search, imageTag: v2}}}',
      ),
      [
        'registry.k8s.io/etcd:3.6.6-0',
        'registry.k8s.io/kube-apiserver:v1.35.2',
        'registry.k8s.io/kube-controller-manager:v1.35.2',
        'docker.io/karmada/karmada-aggregated-apiserver:v1.17.1',
        'docker.io/karmada/karmada-controller-manager:v1.17.1',
        'docker.io/karmada/karmada-scheduler:v1.17.1',
        'docker.io/karmada/karmada-webhook:v1.17.1',
        'docker.io/karmada/karmada-metrics-adapter:v1.17.1',
        'r.example/search:v2',
      ],
    ],
    [
      'europe-docker.pkg.dev/gardener-project/public/gardener/etcd-druid:v0.33.0',
      resource('druid.gardener.cloud/v1alpha1', 'Etcd', '{replicas: 3}'),
      [
        'europe-docker.pkg.dev/gardener-project/public/gardener/etcd-wrapper:v0.5.2',
        'europe-docker.pkg.dev/gardener-project/public/gardener/etcdbrctl:v0.39.0',
      ],
    ],
    [
      'docker.io/falcosecurity/falco-operator:0.4.1',
      resource('instance.falcosecurity.dev/v1alpha1', 'Component', '{component: {type: falcosidekick}}'),
      ['docker.io/falcosecurity/falcosidekick:2.32.0'],
    ],
    [
      'docker.io/bitpoke/mysql-operator:v0.6.3',
      resource('mysql.presslabs.org/v1alpha1', 'MysqlCluster', '{mysqlVersion: "8.0"}'),
      ['percona@sha256:5332a2dd238486f597566403403410e85cc4438f11f317f65458105be00feeba'],
    ],
    [
      'kubearmor/kubearmor-operator:v1.6.4',
      resource(
        'operator.kubearmor.com/v1',
        'KubeArmorConfig',
        '{kubearmorImage: {image: "r.example/kubearmor:v1"}}',
      ),
      [
        'docker.io/kubearmor/kubearmor-init:stable',
        'docker.io/kubearmor/kubearmor-relay-server:latest',
        'docker.io/kubearmor/kubearmor-controller:latest',
        'docker.io/kubearmor/kubearmor-snitch:v1.6.4',
      ],
    ],
    [
      'ghcr.io/kube-logging/logging-operator:6.2.1',
      resource('logging.banzaicloud.io/v1beta1', 'SyslogNGConfig', '{metrics: {}}'),
      [
        'ghcr.io/axoflow/axosyslog:4.20.0',
        'ghcr.io/kube-logging/logging-operator/syslog-ng-reloader:6.2.1',
        'ghcr.io/axoflow/axosyslog-metrics-exporter:0.0.14',
      ],
    ],
    [
      'docker.io/kong/gateway-operator-oss:1.5',
      resource('gateway-operator.konghq.com/v1beta1', 'DataPlane', '{}'),
      ['kong:3.9'],
    ],
    [
      'docker.io/kubeflow/training-operator:v1-855e096',
      resource('kubeflow.org/v1', 'PyTorchJob', '{pytorchReplicaSpecs: {Worker: {}}}'),
      ['alpine:3.10'],
    ],
    [
      'docker.io/k8ssandra/k8ssandra-operator:v1.19.0',
      resource('k8ssandra.io/v1alpha1', 'K8ssandraCluster', '{reaper: {}, medusa: {}}'),
      ['docker.io/k8ssandra/medusa:0.22.2', 'docker.io/thelastpickle/cassandra-reaper:3.6.1'],
    ],
    [
      'ghcr.io/cscetbon/casskop:2.2.3',
      resource('db.orange.com/v2', 'CassandraCluster', '{cassandraImage: "cassandra:3.11"}'),
      [
        'datastax/cass-config-builder:1.0.4',
        'ghcr.io/cscetbon/casskop-bootstrap:0.1.14',
        'ghcr.io/cscetbon/instaclustr-icarus:1.1.3',
      ],
    ],
    [
      'quay.io/jenkins-kubernetes-operator/operator:v0.8.1',
      resource('jenkins.io/v1alpha2', 'Jenkins', '{seedJobs: [{id: jobs}]}'),
      ['jenkins/inbound-agent:3248.v65ecb_254c298-6'],
    ],
    [
      'mcr.microsoft.com/oss/azure/workload-identity/webhook:v1.5.1',
      resource(
        'apps/v1',
        'Deployment',
        '{template: {metadata: {annotations: {azure.workload.identity/inject-proxy-sidecar: "true"}}, spec: {containers: []}}}',
      ),
      [
        'mcr.microsoft.com/oss/azure/workload-identity/proxy:v1.5.1',
        'mcr.microsoft.com/oss/azure/workload-identity/proxy-init:v1.5.1',
      ],
    ],
    [
      'cr.yandex/yc/ydb-kubernetes-operator:0.7.0',
      resource('ydb.tech/v1alpha1', 'Database', '{image: {pullPolicyName: Always}}'),
      ['cr.yandex/crptqonuodf51kdj7a7d/ydb:22.2.22'],
    ],
    [
      'ghcr.io/clickhouse/clickhouse-operator:v0.0.2',
      resource('clickhouse.com/v1alpha1', 'KeeperCluster', '{replicas: 3}'),
      ['docker.io/clickhouse/clickhouse-keeper:latest'],
    ],
    [
      'quay.io/cephcsi/ceph-csi-operator:v0.6.0',
      resource('csi.ceph.io/v1', 'Driver', '{snapshotPolicy: none}'),
      [
        'quay.io/cephcsi/cephcsi:v3.16.2',
        'registry.k8s.io/sig-storage/csi-node-driver-registrar:v2.16.0',
        'registry.k8s.io/sig-storage/csi-provisioner:v6.2.0',
        'registry.k8s.io/sig-storage/csi-resizer:v2.1.0',
        'registry.k8s.io/sig-storage/csi-attacher:v4.11.0',
      ],
    ],
  ])('%s', (image, text, expected) => {
    expect(composed(program(image), text)).toEqual(expected)
    // of a newer version, nothing is guessed
    const newer = image.replace(/:.*$/, ':v999.0.0')
    const sure = expected.filter(one => composed(program(newer), text).includes(one))
    expect(sure.length === expected.length || undecided(program(newer), text).length > 0).toBe(true)
  })

  it('of Coroot: those that it looks up in the registry are undecided', () => {
    const operator = program('ghcr.io/coroot/coroot-operator:1.9.0')
    const coroot = (spec: string) => resource('coroot.com/v1', 'Coroot', spec)
    expect(composed(operator, coroot('{}'))).toEqual([
      'ghcr.io/coroot/kube-state-metrics:2.15.0-ubi9-0',
      'ghcr.io/coroot/prometheus:2.55.1-ubi9-0',
      'ghcr.io/coroot/clickhouse:25.11.2-ubi9-0',
    ])
    expect(undecided(operator, coroot('{}'))).toEqual(['Coroot n'])
    expect(composed(operator, coroot('{agentsOnly: {corootURL: "http://c"}}'))).toEqual([
      'ghcr.io/coroot/kube-state-metrics:2.15.0-ubi9-0',
    ])
  })

  it('of CockroachDB: the one of a list in its variables', () => {
    const list = {
      RELATED_IMAGE_COCKROACH_v24_1_0: 'cockroachdb/cockroach:v24.1.0',
      RELATED_IMAGE_COCKROACH_v24_3_4: 'cockroachdb/cockroach:v24.3.4',
    }
    const operator = program('cockroachdb/cockroach-operator:v2.17.0', env(list))
    const cluster = resource(
      'crdb.cockroachlabs.com/v1alpha1',
      'CrdbCluster',
      '{cockroachDBVersion: v24.3.4}',
    )
    const images = found(operator, cluster).images.filter(({ dormant }) => dormant === undefined)
    expect(images.map(({ text }) => text)).toEqual([
      'cockroachdb/cockroach-operator:v2.17.0',
      'cockroachdb/cockroach:v24.3.4',
    ])
  })

  it('of which none is in the rendering are undecided', () => {
    expect(undecided(program('rancher/rancher:v2.12.1'))).toEqual(['Deployment n'])
    expect(
      undecided(resource('operator.cluster.x-k8s.io/v1alpha2', 'CoreProvider', '{version: v1.9.0}')),
    ).toEqual(['CoreProvider n'])
  })

  it('of vCluster: by the version of Kubernetes inside', () => {
    const cluster = (kubernetes: string) =>
      resource(
        'apps/v1',
        'StatefulSet',
        `{template: {spec: {initContainers: [{name: k, image: "ghcr.io/loft-sh/kubernetes:${kubernetes}"}], containers: [{name: s, image: "ghcr.io/loft-sh/vcluster-pro:0.30.0"}]}}}`,
      )
    expect(composed(cluster('v1.33.4'))).toEqual(['docker.io/coredns/coredns:1.12.0'])
    expect(undecided(cluster('v1.99.0'))).toEqual(['StatefulSet n'])
  })
})
