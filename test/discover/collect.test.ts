import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { annotatedImages } from '../../src/discover/annotations.ts'
import { collect } from '../../src/discover/collect.ts'
import { renderedObjects } from '../../src/discover/documents.ts'
import { publicUrls } from '../../src/discover/downloads/urls.ts'
import { isImageText, qualifiedImages, withTag } from '../../src/discover/references/image-text.ts'

const found = (text: string, release = 'r') => collect([{ release, objects: renderedObjects(text, release) }])

const images = (text: string) =>
  found(text).images.map(({ text, dormant, seen }) => [
    text,
    seen.how,
    `${seen.object} ${seen.path}`,
    ...(dormant === undefined ? [] : [dormant]),
  ])

const pod = (spec: string) => `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n${spec}`

describe('images of a rendered release', () => {
  it('are found in all sorts of containers, including nested ones', () => {
    expect(
      images(
        [
          'apiVersion: batch/v1',
          'kind: CronJob',
          'metadata: {name: c}',
          'spec: {jobTemplate: {spec: {template: {spec: {initContainers: [{name: i, image: busybox}], containers: [{name: a, image: "quay.io/a/b:1"}]}}}}}',
        ].join('\n'),
      ),
    ).toEqual([
      [
        'busybox:latest',
        'container',
        'CronJob c spec.jobTemplate.spec.template.spec.initContainers[0].image',
      ],
      ['quay.io/a/b:1', 'container', 'CronJob c spec.jobTemplate.spec.template.spec.containers[0].image'],
    ])
  })

  it('are found in custom resources, as text or in parts, and marked if disabled', () => {
    const text = [
      'kind: ClusterPolicy',
      'metadata: {name: p}',
      'spec:',
      '  validator: {repository: r.example/nvidia, image: v, version: v24}',
      `  byDigest: {repository: r.example, image: a/b, version: "sha256:${'a'.repeat(64)}"}`,
      '  empty: {repository: "", image: "", version: ""}',
      '  driver: {enabled: false, repository: r.example/nvidia, image: driver, version: "535", manager: {repository: r.example/x, image: m, version: v0.6}}',
      '  vfioManager: {repository: r.example/nvidia, image: cuda, version: "12"}',
      '  sandboxWorkloads: {enabled: false}',
      '---',
      'kind: Prometheus',
      'metadata: {name: q}',
      'spec: {image: "quay.io/prometheus/prometheus:v2", baseImage: x}',
    ].join('\n')
    expect(images(text)).toEqual([
      ['r.example/nvidia/v:v24', 'parts', 'ClusterPolicy p spec.validator.image'],
      [`r.example/a/b@sha256:${'a'.repeat(64)}`, 'parts', 'ClusterPolicy p spec.byDigest.image'],
      [
        'r.example/nvidia/driver:535',
        'parts',
        'ClusterPolicy p spec.driver.image',
        'spec.driver.enabled is false',
      ],
      [
        'r.example/x/m:v0.6',
        'parts',
        'ClusterPolicy p spec.driver.manager.image',
        'spec.driver.enabled is false',
      ],
      [
        'r.example/nvidia/cuda:12',
        'parts',
        'ClusterPolicy p spec.vfioManager.image',
        'spec.sandboxWorkloads.enabled is not true',
      ],
      ['quay.io/prometheus/prometheus:v2', 'field', 'Prometheus q spec.image'],
    ])
  })

  it('are found in arguments, environment and ConfigMaps', () => {
    const text = [
      pod('  containers:'),
      '  - name: a',
      '    image: a/b:1',
      '    args: ["--reloader=quay.io/p/reloader:v1", "--web=http://quay.io/p/x:1", "--label=app.kubernetes.io/name:x"]',
      '    env: [{name: DRIVER_IMAGE, value: nvidia/driver:5}, {name: X, value: "nvcr.io/nvidia/y:1"}, {name: Z, value: a/b:1}]',
      '---',
      'kind: ConfigMap',
      'metadata: {name: m}',
      'data: {config: "default: ghcr.io/a/b:v1, docs at quay.io/a/b.md", n: 1}',
    ].join('\n')
    expect(images(text).map(([name, how]) => [name, how])).toEqual([
      ['a/b:1', 'container'],
      ['quay.io/p/reloader:v1', 'argument'],
      ['nvidia/driver:5', 'env'],
      ['nvcr.io/nvidia/y:1', 'env'],
      ['ghcr.io/a/b:v1', 'text'],
    ])
  })

  it('are found in lists, and marked if only a test runs them; CustomResourceDefinitions have none', () => {
    const text = [
      'kind: List',
      'items:',
      '- {kind: Pod, metadata: {name: t, annotations: {helm.sh/hook: test-success}}, spec: {containers: [{image: "bats/bats:1"}]}}',
      '- {kind: Job, metadata: {name: h, annotations: {helm.sh/hook: "pre-install,test"}}, spec: {containers: [{image: "a/cli:1"}]}}',
      '---',
      'kind: CustomResourceDefinition',
      'metadata: {name: d}',
      'spec: {image: "quay.io/not/one:1"}',
    ].join('\n')
    expect(images(text)).toEqual([
      ['bats/bats:1', 'container', 'Pod t spec.containers[0].image', 'only `helm test` runs it'],
      ['a/cli:1', 'container', 'Job h spec.containers[0].image'],
    ])
  })

  it('name the line with invalid YAML', () => {
    expect(() => found('kind: A\n---\nkind: B\nx: [1\ny: 2\n', 'astrago')).toThrow(
      expect.objectContaining({
        code: 'RENDER_FAILED',
        item: expect.stringMatching(/^astrago, line [3-5]$/),
      }),
    )
  })
})

describe('URLs that containers fetch', () => {
  it('are the public ones of command lines, environment and scripts', () => {
    const text = [
      pod('  initContainers:'),
      '  - name: i',
      '    image: a/wget:1',
      '    args: ["-c", "wget https://github.com/x/releases/download/v1/theme.jar -P /theme; curl http://localhost:80/"]',
      '    env: [{name: U, value: "http://prometheus.svc:9090"}, {name: V, value: "http://10.0.0.1/x"}]',
      '---',
      'kind: ConfigMap',
      'metadata: {name: m}',
      'data: {download.sh: "curl https://grafana.com/api/dashboards/13639", board.json: "https://grafana.com/docs"}',
    ].join('\n')
    expect(found(text).urls.map(one => one.url)).toEqual([
      'https://github.com/x/releases/download/v1/theme.jar',
      'https://grafana.com/api/dashboards/13639',
    ])
  })

  it('exclude those in the cluster or without a host', () => {
    expect(
      publicUrls('http://a.b.svc http://a.svc.cluster.local:8080/x http://one/ http://127.0.0.1/ https://'),
    ).toEqual([])
  })
})

describe('texts', () => {
  it('yield full references unchanged (property)', () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,8}(-[a-z0-9]{1,5})?$/)
    const reference = fc
      .tuple(
        part,
        fc.array(part, { minLength: 1, maxLength: 3 }),
        fc.stringMatching(/^v?[0-9]{1,3}(\.[0-9]{1,2}){0,2}$/),
      )
      .map(([host, path, tag]) => `${host}.example.io/${path.join('/')}:${tag}`)
    fc.assert(
      fc.property(reference, fc.constantFrom(' ', '"', '=', "'", ',', '\n'), (text, around) => {
        expect(qualifiedImages(`x${around}${text}${around}y`)).toEqual([text])
        expect(isImageText(text)).toBe(true)
        expect(withTag(text)).toBe(text)
      }),
    )
  })

  it('are scanned in finite time, whatever they contain (property)', () => {
    const letters = fc.constantFrom('a', '.', '/', ':', '-', '@', 'sha256:', ' ', 'a.b/', '_')
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 4000 }), parts => {
        const started = performance.now()
        qualifiedImages(parts.join(''))
        publicUrls(parts.join(''))
        expect(performance.now() - started).toBeLessThan(2000)
      }),
      { numRuns: 40 },
    )
  })
})

describe('knowledge about operators and programs', () => {
  it('marks a driver whose tag ends with the OS of each node', () => {
    const policy =
      'kind: ClusterPolicy\nmetadata: {name: p}\nspec:\n  driver: {repository: nvcr.io/nvidia, image: driver, version: "535.1"}\n'
    expect(found(policy).images.map(({ text, perNode }) => [text, perNode])).toEqual([
      ['nvcr.io/nvidia/driver:535.1', true],
    ])
  })

  it('reports that Trivy fetches its databases, unless that is disabled', () => {
    const trivy = (skip: string) =>
      found(
        pod(
          `  containers: [{name: t, image: a/b:1, env: [{name: SCANNER_TRIVY_SKIP_UPDATE, value: "${skip}"}]}]\n`,
        ),
      ).urls.map(({ url }) => url)
    expect(trivy('false')).toEqual(['oci://ghcr.io/aquasecurity/trivy-db:2'])
    expect(trivy('true')).toEqual([])
  })
})

describe('annotations of charts', () => {
  it('list images in the forms of Artifact Hub and Bitnami', () => {
    const chart = (text: string, name = 'artifacthub.io/images') =>
      annotatedImages({ annotations: { [name]: text } })
    expect(
      chart('- name: a\n  image: quay.io/a/b:1\n- image: "docker.io/c/d:2" # off\n  whitelisted: true\n'),
    ).toEqual(['quay.io/a/b:1', 'docker.io/c/d:2'])
    expect(chart('- name: x\n  image: docker.io/bitnami/x:1\n', 'images')).toEqual(['docker.io/bitnami/x:1'])
    for (const odd of ['image:', 'image: {}', 'image: ../../etc', 'no list']) expect(chart(odd)).toEqual([])
    expect([
      annotatedImages({}),
      annotatedImages({ annotations: 7 }),
      annotatedImages({ annotations: { images: [] } }),
    ]).toEqual([[], [], []])
  })
})

describe('a quoted text over several lines', () => {
  const image = 'registry.example.com/team/app:1.2.3'
  const pod = (text: string) => `kind: ConfigMap
metadata: {name: settings}
data:
  registries: ${text}
  image: ${image}
`
  it.each([
    ['in single quotes, as far in as its key', `'{\n  "a": "it''s",\n\n  "b": [1]\n  }'`],
    ['in double quotes, at the start of the line', '"{\n\\"a\\": \\\\\n}"'],
  ])('%s, is read as helm reads it', (_where, text) => {
    const [object] = renderedObjects(pod(text), 'r')
    expect(object?.value['data']).toMatchObject({ image, registries: expect.stringMatching(/^\{ ?.*\}$/s) })
  })

  it('that never ends is still a mistake, at the line where it begins', () => {
    expect(() => renderedObjects(pod("'{\n  x"), 'r')).toThrow('invalid YAML')
  })
})
