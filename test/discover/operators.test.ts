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

  it('of known operators are reported unless the operator names the images', () => {
    const kafka = resource('kafka.strimzi.io/v1beta2', 'Kafka', '{kafka: {version: 3.8.0}}')
    expect(undecided(kafka)).toEqual(['Kafka n'])
    const images = operator('env: [{name: STRIMZI_KAFKA_IMAGES, value: "3.8.0=quay.io/t/kafka:1-3.8.0"}]')
    expect(undecided(kafka, images)).toEqual([])
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
