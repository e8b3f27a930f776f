import { describe, expect, it } from 'vitest'
import { collect } from '../../src/discover/collect.ts'
import { renderedObjects } from '../../src/discover/documents.ts'
import {
  active,
  besides,
  configMap,
  container,
  digest,
  images,
  resource,
  undecided,
} from './support/references.ts'

describe('keys that name an image', () => {
  it.each([
    ['spec: {imageName: "ghcr.io/acme/pg:16"}', ['ghcr.io/acme/pg:16']],
    ['configuration: {docker_image: "ghcr.io/acme/spilo:4-p1"}', ['ghcr.io/acme/spilo:4-p1']],
    ['spec: {sidecarImage: "acme/side:1", pooler_image: "acme/pool:32"}', ['acme/side:1', 'acme/pool:32']],
    ['spec: {images: ["quay.io/t/one:1", "t/two:2"]}', ['quay.io/t/one:1', 't/two:2']],
    ['spec: {images: {one: "t/one:1.0", two: "t/two:2.0"}}', ['t/one:1.0', 't/two:2.0']],
    ['spec: {anything: {at: ["quay.io/t/one:1"]}}', ['quay.io/t/one:1']],
    ['spec: {component: {oddKey: "quay.io:443/t/one:1"}}', ['quay.io:443/t/one:1']],
    [`spec: {component: {oddKey: "t/one@${digest}"}}`, [`t/one@${digest}`]],
    ['spec: {templates: [{name: a, container: {image: busybox}}]}', ['busybox:latest']],
    ['spec: {templates: [{name: a, script: {image: "python:3.12"}}]}', ['python:3.12']],
    ['spec: {volumes: [{name: m, image: {reference: "quay.io/t/model:7"}}]}', ['quay.io/t/model:7']],
    ['spec: {image: "docker://quay.io/t/disk:1"}', ['quay.io/t/disk:1']],
    ['metadata: {name: n, annotations: {sidecar.example.io/proxyImage: "acme/proxy:1"}}', ['acme/proxy:1']],
  ])('in %s', (spec, expected) => {
    expect(images(resource(spec))).toEqual(expected)
  })

  it.each([
    'spec: {image: auto-detected, imagePullPolicy: Always, imagePullSecrets: [{name: a/b}]}',
    'spec: {imageType: "a/b:c", imageGCHighThreshold: 80, bootImagePath: /images/disk.qcow2}',
    'spec: {logoImage: "icons/logo.png", image: "https://acme.io/logo.png"}',
    'spec: {address: "db.acme.io:5432", user: "1000:1000", path: "/etc/acme.d/x:ro", time: "2026.01.02/15:04"}',
    'spec: {ref: "github.com/acme/tool:main", docs: "https://docs.acme.io/guide:1"}',
    'spec: {label: "apps.kubernetes.io/name:x", service: "db.ns.svc:5432/x:y", host: "10.0.0.1:80"}',
    'spec: {expression: "sum(rate(x{image!=\\"\\"}[5m]))", jsonPath: ".spec.image", field: "spec.image:tag"}',
    'spec: {selector: {matchLabels: {image: "acme/x:1"}}, nodeSelector: {image: "acme/x:1"}}',
    'spec: {verify: [{imageReferences: ["ghcr.io/acme/*", "ghcr.io/acme/tool:*"]}]}',
    'spec: {url: "https://quay.io/acme/tool:1", image: "${REGISTRY}/acme/tool:1"}',
    'spec: {chart: {repository: acme/charts, name: tool, version: 1.2.3}}',
    'spec: {description: "such as quay.io/acme/tool:1"}',
    'metadata: {name: n, annotations: {alm-examples: \'[{"spec": {"image": "quay.io/acme/tool:1"}}]\'}}',
  ])('but not in %s', spec => {
    expect(images(resource(spec))).toEqual([])
  })
})

describe('environment', () => {
  const env = (...entries: [string, string][]) =>
    `env: [${entries.map(([name, value]) => `{name: ${name}, value: "${value}"}`).join(', ')}]`

  it.each<[[string, string][], string[]]>([
    [[['SIDECAR_IMAGE', 'acme/side:1']], ['acme/side:1']],
    [[['RELATED_IMAGE_PROXY', 'acme/proxy:1.9']], ['acme/proxy:1.9']],
    [
      [
        ['IMAGE_NAME', 'quay.io/t/a'],
        ['IMAGE_TAG', 'v1'],
      ],
      ['quay.io/t/a:v1'],
    ],
    [
      [
        ['DB_IMAGE', 'quay.io/t/db'],
        ['DB_VERSION', '1.9'],
      ],
      ['quay.io/t/db:1.9'],
    ],
    [
      [
        ['ENTERPRISE_DATABASE_IMAGE', 'quay.io/t/db'],
        ['DATABASE_VERSION', '1.9'],
      ],
      ['quay.io/t/db:1.9'],
    ],
    [
      [
        ['DB_IMAGE_REPOSITORY', 'quay.io/t/db'],
        ['DB_VERSION', '1.9'],
      ],
      ['quay.io/t/db:1.9'],
    ],
    [
      [
        ['DB_REPO_URL', 'quay.io/t'],
        ['DB_NAME', 'db'],
        ['DB_VERSION', '1.9'],
      ],
      ['quay.io/t/db:1.9'],
    ],
    [
      [
        ['DB_IMAGE', 'quay.io/t/db:1'],
        ['DB_IMAGE_DIGEST', digest],
      ],
      [`quay.io/t/db:1@${digest}`],
    ],
    [[['EXECUTOR_IMAGE_AND_VERSION', 't/executor:1.9']], ['t/executor:1.9']],
    [[['KAFKA_IMAGES', '3.7=quay.io/t/k:1-3.7\\n3.8=t/k:1-3.8']], ['quay.io/t/k:1-3.7', 't/k:1-3.8']],
    [[['SETTINGS', '{\\"image\\": \\"t/nested:1\\"}']], ['t/nested:1']],
    [
      [
        ['DATABASE', 'a/b:1'],
        ['IMAGE_PULL_POLICY', 'a:b'],
        ['ADDR', 'db:5432'],
      ],
      [],
    ],
  ])('%j', (entries, expected) => {
    expect(besides(env(...entries))).toEqual(expected)
  })

  it('is disabled by a variable that turns the feature off', () => {
    const off = env(
      ['ENABLE_DB', 'false'],
      ['DB_IMAGE', 'a/db:1'],
      ['QUEUE_IMAGE', 'a/q:1'],
      ['QUEUE_ENABLED', 'true'],
    )
    expect(active(container(off))).toEqual(['quay.io/t/x:1', 'a/q:1'])
    expect(active(container(env(['DISABLE_DB', 'true'], ['DB_IMAGE', 'a/db:1'])))).toEqual(['quay.io/t/x:1'])
    expect(active(container(env(['CSI_ENABLE_NFS', 'false'], ['ROOK_CSI_NFS_IMAGE', 'a/nfs:1'])))).toEqual([
      'quay.io/t/x:1',
    ])
  })

  it('takes values from a ConfigMap', () => {
    const text = `${container('env: [{name: SIDE_IMAGE, valueFrom: {configMapKeyRef: {name: c, key: side}}}]')}---\n${configMap('side', 'acme/side:1')}`
    expect(images(text)).toContain('acme/side:1')
  })
})

describe('command lines', () => {
  it.each([
    ['["--sidecar-image=acme/side:1.8"]', ['acme/side:1.8']],
    ['["--helper-image", "acme/helper:1", "-v"]', ['acme/helper:1']],
    ['["-docker-image=docker:dind"]', ['docker:dind']],
    ['["--db-image=quay.io/t/db", "--db-version=1.9"]', ['quay.io/t/db:1.9']],
    [
      '["-c", "exec run -agent-image=\\"acme/agent:1\\" \\\\\\n -x --reload quay.io/t/y:2"]',
      ['acme/agent:1', 'quay.io/t/y:2'],
    ],
    ['["-c", "export SIDE_IMAGE=acme/side:1; # quay.io/t/comment:1"]', ['acme/side:1']],
    ['["--listen=:8080", "--peer=db:5432", "--enable-image-scan=true", "--image-pull-policy=a:b"]', []],
  ])('%s', (args, expected) => {
    expect(besides(`args: ${args}`).sort()).toEqual(expected.sort())
  })
})

describe('documents in texts', () => {
  it('of ConfigMaps are read like resources', () => {
    const pod =
      'kind: Pod\nspec:\n  containers:\n    - name: helper\n      image: toolbox:1.2 # or busybox:1\n'
    expect(images(configMap('helperPod.yaml', pod))).toEqual(['toolbox:1.2'])
    expect(images(configMap('agent', '{"image": "acme/agent:v0.15", "memory": "100Mi"}'))).toEqual([
      'acme/agent:v0.15',
    ])
    expect(images(configMap('explain', '{"art": {"image": "a/x", "defaultImageVersion": "v1"}}'))).toEqual([
      'a/x:v1',
    ])
  })

  it('of other resources, in values of charts and base64', () => {
    const values =
      'spec:\n  valuesContent: |-\n    image: {repository: quay.io/t/a, tag: "1"}\n    b: {image: "t/b:2"}'
    expect(images(resource(values, 'HelmChartConfig'))).toEqual(['quay.io/t/a:1', 't/b:2'])
    const application = 'spec: {source: {helm: {values: "image: quay.io/t/argo:1\\n"}}}'
    expect(images(resource(application, 'Application'))).toEqual(['quay.io/t/argo:1'])
    const parameters =
      'spec: {source: {helm: {parameters: [{name: image.repository, value: quay.io/t/p}, {name: image.tag, value: v1}]}}}'
    expect(images(resource(parameters, 'Application'))).toEqual(['quay.io/t/p:v1'])
    const data = Buffer.from('image: quay.io/t/secret:1\nside: {image: "t/s:1"}\n').toString('base64')
    expect(images(`kind: Secret\nmetadata: {name: s}\ndata: {values.yaml: ${data}}\n`)).toEqual([
      'quay.io/t/secret:1',
      't/s:1',
    ])
    const binary = Buffer.from([0, 1, 2, 255]).toString('base64')
    expect(images(`kind: Secret\nmetadata: {name: s}\ndata: {x: ${binary}}\n`)).toEqual([])
  })

  it('inside documents inside texts', () => {
    const inner = JSON.stringify({ 'pod.yaml': 'spec:\n  containers:\n  - {name: a, image: busybox}\n' })
    expect(images(configMap('x', inner))).toEqual(['busybox:latest'])
  })

  it('in string literals of programs', () => {
    const python =
      'import json\nx = json.loads("{\\"image\\": {\\"name\\": \\"t/x\\", \\"tag\\": \\"v1\\"}}")\n'
    expect(images(configMap('config.py', python))).toEqual(['t/x:v1'])
  })

  it('that are INI, TOML or properties', () => {
    const ini =
      '[kubernetes]\nworker_container_repository = apache/worker\nworker_container_tag = 2.8.1\n# x_image = a/b:1\n'
    expect(images(configMap('airflow.cfg', ini))).toEqual(['apache/worker:2.8.1'])
    const toml =
      '[[runners]]\n  [runners.kubernetes]\n    image = "ubuntu:22.04"\n    helper_image = "acme/helper:1"\n'
    expect(images(configMap('config.toml', toml))).toEqual(['ubuntu:22.04', 'acme/helper:1'])
  })

  it('that are templates: what stands under a condition is unknown', () => {
    const template =
      'containers:\n{{- if .Values.debug }}\n- image: busybox:1.28\n{{- end }}\n- image: acme/main:1\n  x: {{ .y }}\n'
    const text = configMap('template', template)
    expect([images(text), undecided(text)]).toEqual([['acme/main:1'], ['busybox:1.28']])
  })

  it('but not examples, dashboards, schemas and comments', () => {
    expect(images(configMap('_example', 'image: quay.io/t/x:1\n'))).toEqual([])
    expect(images(configMap('board.json', '{"panels": [{"image": "quay.io/t/x:1"}]}'))).toEqual([])
    expect(images(configMap('schema.json', '{"$schema": "x", "default": "quay.io/t/x:1"}'))).toEqual([])
    expect(images(configMap('values.yaml', '# image: quay.io/t/x:1\na: 1\n'))).toEqual([])
    expect(
      images(configMap('crd.yaml', 'kind: CustomResourceDefinition\nspec: {image: "quay.io/t/x:1"}\n')),
    ).toEqual([])
  })
})

describe('disabled features', () => {
  it.each([
    'enabled: false',
    'enabled: "false"',
    'disabled: true',
    'install: false',
    'mode: none',
    'managementState: Removed',
  ])('%s', gate => {
    expect(
      active(resource(`spec: {part: {${gate}, image: "quay.io/t/x:1", inner: {image: "t/y:1"}}}`)),
    ).toEqual([])
  })

  it('are short names with a version, whatever the variable is called; not what only looks like one', () => {
    const env = (...values: string[]) =>
      `kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: "a.example/b:1", env: [${values.map((value, i) => `{name: V${i}, value: "${value}"}`).join(', ')}]}]}\n`
    expect(
      collect([
        {
          release: 'r',
          objects: renderedObjects(
            env(
              'acme/clone-plugin:2.6.3',
              'acme/x:latest',
              'user:1.2',
              '/a/b:1.0',
              'team/topic:7',
              'a/b/c:1.0',
            ),
            'r',
          ),
        },
      ]).images.map(({ text }) => text),
    ).toEqual(['a.example/b:1', 'acme/clone-plugin:2.6.3'])
  })

  it('are joined from a repository and a version with a digest', () => {
    const digest = `sha256:${'a'.repeat(64)}`
    const text = `apiVersion: acme.example/v1\nkind: Cache\nmetadata: {name: c}\nspec: {agentRepository: acme/agent, agentVersion: "3.12.0@${digest}"}\n`
    expect(
      collect([{ release: 'r', objects: renderedObjects(text, 'r') }]).images.map(image => image.text),
    ).toEqual([`acme/agent:3.12.0@${digest}`])
  })
})
