import { describe, expect, it } from 'vitest'
import { collect } from '../../src/discover/collect.ts'
import { renderedObjects } from '../../src/discover/documents.ts'

const found = (...texts: string[]) =>
  collect([{ release: 'r', objects: renderedObjects(texts.join('\n---\n'), 'r') }])
const used = (...texts: string[]) =>
  found(...texts)
    .images.filter(({ dormant }) => dormant === undefined)
    .map(({ text }) => text)
const undecided = (...texts: string[]) => found(...texts).undecided.map(({ subject }) => subject)

const resource = (apiVersion: string, kind: string, spec: string) =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: n}\nspec: ${spec}\n`
const operator = (more: string) =>
  resource(
    'apps/v1',
    'Deployment',
    `{template: {spec: {containers: [{name: o, image: "quay.io/t/op:1", ${more}}]}}}`,
  )

describe('resources without an image', () => {
  it('of Elastic name their image by version and by the registry of the operator', () => {
    const es = resource('elasticsearch.k8s.elastic.co/v1', 'Elasticsearch', '{version: 9.3.0}')
    expect(used(es)).toEqual(['docker.elastic.co/elasticsearch/elasticsearch:9.3.0'])
    const settings =
      'kind: ConfigMap\nmetadata: {name: e}\ndata: {eck.yaml: "container-registry: r.example:5000\\n"}\n'
    expect(used(es, settings)).toEqual(['r.example:5000/elasticsearch/elasticsearch:9.3.0'])
    const beat = resource('beat.k8s.elastic.co/v1beta1', 'Beat', '{type: filebeat, version: 8.1.0}')
    expect(used(beat)).toEqual(['docker.elastic.co/beats/filebeat:8.1.0'])
    const own = '{version: 8.1.0, image: "quay.io/t/kibana:8"}'
    expect(used(resource('kibana.k8s.elastic.co/v1', 'Kibana', own))).toEqual(['quay.io/t/kibana:8'])
  })

  it('of Prometheus take the base image of the operator, which may be in another release', () => {
    const prometheus = resource('monitoring.coreos.com/v1', 'Prometheus', '{version: v2.50.0}')
    expect(used(prometheus)).toEqual(['quay.io/prometheus/prometheus:v2.50.0'])
    const flag = operator('args: ["--prometheus-default-base-image=quay.io/acme/metrics"]')
    const { images } = collect([
      { release: 'a', objects: renderedObjects(flag, 'a') },
      { release: 'b', objects: renderedObjects(prometheus, 'b') },
    ])
    expect(images.map(({ text, seen }) => [text, seen.release, seen.how])).toEqual([
      ['quay.io/t/op:1', 'a', 'container'],
      ['quay.io/acme/metrics:v2.50.0', 'b', 'operator'],
    ])
    expect(undecided(resource('monitoring.coreos.com/v1', 'Alertmanager', '{replicas: 1}'))).toEqual([
      'Alertmanager n',
    ])
  })

  it('of other databases', () => {
    const community = resource('mongodbcommunity.mongodb.com/v1', 'MongoDBCommunity', '{version: 6.0.5}')
    expect(used(community)).toEqual(['docker.io/mongodb/mongodb-community-server:6.0.5-ubi8'])
    const pg = resource('postgresql.cnpg.io/v1', 'Cluster', '{instances: 3}')
    expect([used(pg), undecided(pg)]).toEqual([[], ['Cluster n']])
    const named = operator('env: [{name: POSTGRES_IMAGE_NAME, value: "ghcr.io/t/pg:17"}]')
    expect(used(pg, named)).toEqual(['ghcr.io/t/pg:17', 'quay.io/t/op:1', 'ghcr.io/t/pg:17'])
    const tidb = resource(
      'pingcap.com/v1alpha1',
      'TidbCluster',
      '{version: v8.1.0, pd: {baseImage: pingcap/pd}, tikv: {}}',
    )
    expect(used(tidb)).toEqual(['pingcap/pd:v8.1.0', 'pingcap/tikv:v8.1.0'])
  })

  it('of unknown operators are reported if they have a version only', () => {
    const thing = (spec: string, api = 'acme.io/v1') => resource(api, 'Thing', spec)
    expect(undecided(thing('{version: "7.2"}'))).toEqual(['Thing n'])
    expect(undecided(thing('{serverVersion: 4.1.0}'))).toEqual(['Thing n'])
    expect(undecided(thing('{version: "7.2", image: "quay.io/t/thing:7.2"}'))).toEqual([])
    expect(undecided(thing('{version: latest}'))).toEqual([])
    expect(
      undecided(thing('{version: "7.2"}', 'apps/v1'), thing('{version: "7.2"}', 'networking.k8s.io/v1')),
    ).toEqual([])
  })

  it('are reported if their definition has keys for images, and they set none', () => {
    const definition = (properties: string) =>
      `kind: CustomResourceDefinition\nmetadata: {name: caches.acme.example}\nspec: {group: acme.example, names: {kind: Cache}, versions: [{name: v1, schema: {openAPIV3Schema: {properties: {spec: {properties: ${properties}}}}}}]}\n`
    const images = definition('{size: {type: integer}, sidecar: {properties: {image: {type: string}}}}')
    const cache = (spec: string) => resource('acme.example/v1', 'Cache', spec)
    expect(undecided(cache('{size: 3}'), images)).toEqual(['Cache n'])
    expect(undecided(cache('{sidecar: {image: "quay.io/t/s:1"}}'), images)).toEqual([])
    expect(
      undecided(cache('{size: 3}'), definition('{size: {type: integer}, imagePullPolicy: {type: string}}')),
    ).toEqual([])
    const pods = definition(
      '{template: {properties: {containers: {items: {properties: {image: {type: string}}}}}}}',
    )
    expect(undecided(cache('{}'), pods)).toEqual([])
    const open = images.replace(
      /properties: \{spec: .*\}\}\}\}/,
      'properties: {spec: {x-kubernetes-preserve-unknown-fields: true}}}}',
    )
    expect(undecided(cache('{store: {replicaCount: 2}}'), open)).toEqual(['Cache n'])
    // the definition is installed by something else
    expect(undecided(cache('{storage: {replicaCount: 2}}'))).toEqual(['Cache n'])
    expect(undecided(cache('{size: 3, match: {resources: {kinds: [Pod]}}}'))).toEqual([])
    expect(undecided(resource('argoproj.io/v1alpha1', 'ApplicationSet', '{replicas: 2}'))).toEqual([])
  })

  it('are reported if they name some of the images of their definition, and leave others to the operator', () => {
    const properties =
      '{image: {type: string}, initImage: {type: string}, backup: {properties: {image: {type: string}}}, imagePullPolicy: {type: string}}'
    const definition = `kind: CustomResourceDefinition\nmetadata: {name: stores.acme.example}\nspec: {group: acme.example, names: {kind: Store}, versions: [{name: v1, schema: {openAPIV3Schema: {properties: {spec: {properties: ${properties}}}}}}]}\n`
    const reasons = (spec: string) =>
      found(resource('acme.example/v1', 'Store', spec), definition).undecided.map(({ reason }) => reason)
    expect(reasons('{image: "quay.io/t/store:1"}')).toEqual([
      'it leaves initImage to its operator, which may start images that the rendering does not show',
    ])
    expect(reasons('{image: "quay.io/t/store:1", backup: {}}')[0]).toContain('initImage, backup.image')
    expect(reasons('{image: "quay.io/t/store:1", initImage: "quay.io/t/init:1"}')).toEqual([])
  })

  it('of known operators are reported unless the operator names the images', () => {
    const kafka = resource('kafka.strimzi.io/v1beta2', 'Kafka', '{kafka: {version: 3.8.0}}')
    expect(undecided(kafka)).toEqual(['Kafka n'])
    const images = operator('env: [{name: STRIMZI_KAFKA_IMAGES, value: "3.8.0=quay.io/t/kafka:1-3.8.0"}]')
    expect(undecided(kafka, images)).toEqual([])
  })
})

describe('defaults of an operator', () => {
  const program = (image: string, more = '') => operator(more).replace('quay.io/t/op:1', image)
  const tenant = resource('minio.min.io/v2', 'Tenant', '{pools: []}')
  const minio = (version: string) => program(`mirror.example/minio/operator:${version}`)

  it('are those of its version, which is the tag of its image', () => {
    expect(used(tenant, minio('v7.1.1')).slice(0, 2)).toEqual([
      'minio/minio:RELEASE.2025-04-08T15-41-24Z',
      'quay.io/minio/operator-sidecar:v7.0.1',
    ])
    expect(used(tenant, minio('v6.0.2-patched')).slice(0, 2)).toEqual([
      'minio/minio:RELEASE.2024-08-03T04-33-23Z',
      'quay.io/minio/operator-sidecar:v6.0.0',
    ])
  })

  it('are undecided for versions that nobody has looked at, and without the operator', () => {
    for (const version of ['v99.0.0', 'v4.5.0', 'latest'])
      expect(undecided(tenant, minio(version))).toEqual(['Tenant n'])
    expect(undecided(tenant)).toEqual(['Tenant n'])
    expect(found(tenant, minio('v99.0.0')).undecided[0]?.reason).toContain(
      'known are those of its versions up to 7.1.1',
    )
  })

  it('yield to its settings', () => {
    const set = minio('v7.1.1').replace(
      'containers: [{',
      'containers: [{env: [{name: TENANT_MINIO_IMAGE, value: "r.example/m:1"}], ',
    )
    expect(used(tenant, set)).toContain('r.example/m:1')
    expect(used(tenant, set)).not.toContain('minio/minio:RELEASE.2025-04-08T15-41-24Z')
  })

  it('join the parts that a resource states', () => {
    const spec = '{clusterVersion: v1.9-cluster, vmselect: {image: {repository: r.example/s}}, vminsert: {}}'
    const cluster = resource('operator.victoriametrics.com/v1beta1', 'VMCluster', spec)
    expect(used(cluster, program('victoriametrics/operator:v0.74.1'))).toEqual([
      'r.example/s:v1.9-cluster',
      'victoriametrics/vminsert:v1.9-cluster',
      'victoriametrics/operator:v0.74.1',
    ])
  })

  it('keep the digest of a version', () => {
    const digest = `sha256:${'a'.repeat(64)}`
    const cluster = resource('scylla.scylladb.com/v1', 'ScyllaCluster', `{version: "6.2@${digest}"}`)
    expect(used(cluster, program('scylladb/scylla-operator:1.21.0'))[0]).toBe(
      `docker.io/scylladb/scylla:6.2@${digest}`,
    )
  })

  it('may be those of a program without a folder in its name', () => {
    const agent = resource('datadoghq.com/v2alpha1', 'DatadogAgent', '{}')
    expect(used(agent, program('registry.datadoghq.com/operator:1.26.0')).slice(0, 2)).toEqual([
      'gcr.io/datadoghq/agent:7.78.1',
      'gcr.io/datadoghq/cluster-agent:7.78.1',
    ])
    const eu = resource('datadoghq.com/v2alpha1', 'DatadogAgent', '{global: {site: datadoghq.eu}}')
    expect(undecided(eu, program('registry.datadoghq.com/operator:1.26.0'))).toEqual(['DatadogAgent n'])
  })

  it('are the program itself, or have its version', () => {
    const cluster = resource('mysql.oracle.com/v2', 'InnoDBCluster', '{router: {instances: 1}}')
    const oracle = 'container-registry.oracle.com/mysql'
    expect(used(cluster, program(`${oracle}/community-operator:9.1.0-2.2.2`))).toEqual([
      `${oracle}/community-server:9.1.0`,
      `${oracle}/community-operator:9.1.0-2.2.2`,
      `${oracle}/community-router:9.1.0`,
      `${oracle}/community-operator:9.1.0-2.2.2`,
    ])
    const runner = program('registry.gitlab.com/gitlab-org/gitlab-runner:alpine-v18.1.0')
    const helper = 'registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:x86_64-v18.1.0'
    expect(used(runner)).toContain(helper)
    const config =
      'kind: ConfigMap\nmetadata: {name: r}\ndata: {config.toml: "helper_image = \\"r.example/helper:1\\"\\n"}\n'
    expect(used(runner, config)).not.toContain(helper)
  })

  it('are added to pods with an annotation', () => {
    const annotated = (value: string) =>
      resource(
        'apps/v1',
        'Deployment',
        `{template: {metadata: {annotations: {instrumentation.opentelemetry.io/inject-java: "${value}"}}, spec: {containers: [{name: c, image: "quay.io/t/app:1"}]}}}`,
      )
    const webhook = program('ghcr.io/open-telemetry/opentelemetry-operator/opentelemetry-operator:0.158.0')
    const agent = 'ghcr.io/open-telemetry/opentelemetry-operator/autoinstrumentation-java:2.30.0'
    expect(used(annotated('true'), webhook)).toContain(agent)
    expect(used(annotated('false'), webhook)).not.toContain(agent)
    const named = resource(
      'opentelemetry.io/v1alpha1',
      'Instrumentation',
      '{java: {image: "r.example/java:1"}}',
    )
    expect(used(annotated('true'), webhook, named)).not.toContain(agent)
  })
})

describe('lists of images of every version', () => {
  it('count for the version that a resource states', () => {
    const annotations =
      'images.v1_30_2.istiod: r.example/pilot:1.30.2, images.v1_30_2.proxy: r.example/proxyv2:1.30.2, images.v1_29_0.istiod: r.example/pilot:1.29.0'
    const sail = resource(
      'apps/v1',
      'Deployment',
      `{template: {metadata: {annotations: {${annotations}}}, spec: {containers: [{name: o, image: "quay.io/t/op:1"}]}}}`,
    )
    const istio = (version: string) => resource('sailoperator.io/v1', 'Istio', `{version: ${version}}`)
    expect(used(sail, istio('v1.30.2'))).toEqual([
      'quay.io/t/op:1',
      'r.example/pilot:1.30.2',
      'r.example/proxyv2:1.30.2',
    ])
    expect([used(sail, istio('v1.30.3')), undecided(sail, istio('v1.30.3'))]).toEqual([
      ['quay.io/t/op:1'],
      ['Istio n'],
    ])
  })
})

describe('lists of images of which a resource chooses one', () => {
  const catalog = resource(
    'postgresql.cnpg.io/v1',
    'ClusterImageCatalog',
    '{images: [{major: 16, image: "r.example/pg:16"}, {major: 17, image: "r.example/pg:17"}]}',
  )
  const cluster = resource(
    'postgresql.cnpg.io/v1',
    'Cluster',
    '{imageCatalogRef: {kind: ClusterImageCatalog, name: n, major: 17}}',
  )

  it('are all used unless resources of the environment choose', () => {
    expect(used(catalog)).toEqual(['r.example/pg:16', 'r.example/pg:17'])
    expect(used(catalog, cluster)).toEqual(['r.example/pg:17'])
  })

  it('may be inside a text', () => {
    const config = `kind: ConfigMap
metadata: {name: c}
data:
  controller-config.yaml: |
    eventBus:
      jetstream:
        versions:
          - {version: 2.9.1, natsImage: "r.example/nats:2.9.1"}
          - {version: 2.10.3, natsImage: "r.example/nats:2.10.3"}
`
    const bus = resource('argoproj.io/v1alpha1', 'EventBus', '{jetstream: {version: 2.10.3}}')
    expect(used(config, bus)).toEqual(['r.example/nats:2.10.3'])
  })
})

describe('defaults of a definition', () => {
  const definition = `kind: CustomResourceDefinition
metadata: {name: caches.acme.example}
spec:
  group: acme.example
  names: {kind: Cache}
  versions:
    - name: v1
      schema: {openAPIV3Schema: {properties: {spec: {properties: {
        image: {type: string, default: "quay.io/t/cache:3"},
        exporter: {properties: {enabled: {type: boolean, default: true}, image: {type: string, default: "quay.io/t/exporter:1"}}},
        pools: {items: {properties: {image: {type: string, default: "quay.io/t/pool:2"}}}},
        backup: {default: {}, properties: {image: {type: string, default: "quay.io/t/backup:1"}}}}}}}}
    - name: v2
      schema: {openAPIV3Schema: {properties: {spec: {properties: {image: {type: string, default: "quay.io/t/cache:9"}}}}}}
`
  const cache = (spec: string) => resource('acme.example/v1', 'Cache', spec)

  it('are values of the resource, as the API server stores it', () => {
    expect(used(cache('{}'), definition)).toEqual(['quay.io/t/cache:3', 'quay.io/t/backup:1'])
    expect(
      used(cache('{image: "quay.io/t/own:1", pools: [{}], exporter: {}, backup: null}'), definition),
    ).toEqual(['quay.io/t/own:1', 'quay.io/t/pool:2', 'quay.io/t/exporter:1', 'quay.io/t/backup:1'])
    expect(used(cache('{exporter: {enabled: false}}'), definition)).not.toContain('quay.io/t/exporter:1')
  })
})

describe('injected sidecars', () => {
  const gateway = operator('').replace('quay.io/t/op:1', 'auto')

  it('have the image of the injector', () => {
    const values = '{"global": {"hub": "docker.io/acme", "tag": "1.28.1", "proxy": {"image": "proxyv2"}}}'
    const injector = `kind: ConfigMap\nmetadata: {name: i}\ndata:\n  values: '${values}'\n`
    expect([used(gateway, injector), undecided(gateway, injector)]).toEqual([
      ['docker.io/acme/proxyv2:1.28.1'],
      [],
    ])
  })

  it('are unknown without the injector', () => {
    expect([used(gateway), undecided(gateway)]).toEqual([[], ['Deployment n']])
  })
})

describe('parts that an operator starts under a condition', () => {
  const part = (image: string) => `{repository: r.example/nvidia, image: ${image}, version: v1}`
  const policy = (spec: string) => resource('nvidia.com/v1', 'ClusterPolicy', spec)

  it('of the GPU Operator', () => {
    const sandbox = `kataSandboxDevicePlugin: ${part('kata')}, vfioManager: ${part('vfio')}`
    expect(used(policy(`{sandboxWorkloads: {enabled: false}, ${sandbox}}`))).toEqual([])
    expect(used(policy(`{sandboxWorkloads: {enabled: true}, ${sandbox}}`))).toHaveLength(2)
    expect(used(policy(`{operator: {initContainer: ${part('cuda')}}}`))).toEqual([])
    const driver = (more: string) => policy(`{driver: {${more}, ${part('driver').slice(1)}}`)
    expect(used(driver('useNvidiaDriverCRD: true'))).toEqual([])
    expect(used(driver('useNvidiaDriverCRD: false'))).toEqual(['r.example/nvidia/driver:v1'])
  })

  it('including images in the variables of the operator', () => {
    const deployment = operator('env: [{name: DRIVER_MANAGER_IMAGE, value: "r.example/nvidia/manager:v1"}]')
    expect(used(deployment, policy('{driver: {enabled: false}}'))).toEqual(['quay.io/t/op:1'])
    expect(used(deployment, policy('{driver: {enabled: true}}'))).toContain('r.example/nvidia/manager:v1')
    expect(used(deployment)).toContain('r.example/nvidia/manager:v1')
  })

  it('one for each OS of the site', () => {
    const nodes = (text: string) => found(text).images.map(image => [image.text, image.perNode])
    const ofed = resource('mellanox.com/v1alpha1', 'NicClusterPolicy', `{ofedDriver: ${part('doca')}}`)
    expect(nodes(ofed)).toEqual([['r.example/nvidia/doca:v1', true]])
    const driver = resource('nvidia.com/v1alpha1', 'NVIDIADriver', part('driver'))
    expect(nodes(driver)).toEqual([['r.example/nvidia/driver:v1', true]])
  })
})
