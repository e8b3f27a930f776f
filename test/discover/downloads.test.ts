import { describe, expect, it } from 'vitest'
import { collect } from '../../src/discover/collect.ts'
import { renderedObjects } from '../../src/discover/documents.ts'

const found = (...texts: string[]) =>
  collect([{ release: 'r', objects: renderedObjects(texts.join('\n---\n'), 'r') }])
const urls = (...texts: string[]) => [...new Set(found(...texts).urls.map(({ url }) => url))]
const undecided = (...texts: string[]) => found(...texts).undecided.map(({ subject }) => subject)

const pod = (more: string) =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: "a/b:1", ${more}}]}\n`
const env = (name: string, value: string) => pod(`env: [{name: ${name}, value: "${value}"}]`)
const resource = (apiVersion: string, kind: string, spec: string) =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: n}\nspec: ${spec}\n`

describe('addresses in variables', () => {
  it.each([
    ['FRONTEND_URL', 'https://portal.acme.io'],
    ['OIDC_ISSUER', 'https://portal.acme.io/auth/realms/x'],
    ['ROOT_URL', 'https://portal.acme.io'],
    ['ALLOWED_ORIGINS', 'https://portal.acme.io'],
    ['ANY_URL', 'https://portal.example.com/x'],
  ])('%s=%s are those of the site', (name, value) => {
    expect([urls(env(name, value)), undecided(env(name, value))]).toEqual([[], []])
  })

  it('are those of the site if an ingress has the host', () => {
    const ingress = resource('networking.k8s.io/v1', 'Ingress', '{rules: [{host: portal.acme.io}]}')
    const text = env('ANY_URL', 'https://portal.acme.io/x')
    expect(undecided(text)).toEqual(['https://portal.acme.io/x'])
    expect(undecided(text, ingress)).toEqual([])
  })

  it.each([
    ['THEME', 'https://github.com/x/releases/download/v1/theme.jar'],
    ['PLUGIN_URL', 'https://plugins.acme.io/one'],
    ['MODEL_REPOSITORY', 'https://acme.io/models'],
    ['ANY', 'https://acme.io/data.tar.gz'],
    ['FRONTEND_URL', 'https://acme.io/frontend.zip'],
  ])('%s=%s are downloads', (name, value) => {
    expect(urls(env(name, value))).toEqual([value])
  })
})

describe('command lines', () => {
  it.each<[string, string[]]>([
    ['["--issuer-url=https://login.acme.io"]', []],
    ['["--external-url", "https://prom.example.org"]', []],
    ['["--plugin-url=https://plugins.acme.io/x"]', ['https://plugins.acme.io/x']],
    ['["-c", "wget -qO- https://acme.io/x | sh"]', ['https://acme.io/x']],
    ['["-c", "pip install torch"]', ['https://pypi.org/simple/']],
    ['["-c", "pip install --index-url http://site/simple torch"]', []],
    ['["--experimental.plugins.x.modulename=github.com/acme/x"]', ['https://plugins.traefik.io/']],
    ['["vllm", "serve", "acme/model"]', ['https://huggingface.co/']],
    ['["--model=/models/local"]', []],
    ['["-c", "apk add curl"]', ['https://dl-cdn.alpinelinux.org/']],
    ['["-c", "# see https://acme.io/docs\\nserve"]', []],
  ])('%s', (args, expected) => {
    expect(urls(pod(`args: ${args}`))).toEqual(expected)
  })
})

describe('plugins and databases fetched at start', () => {
  it('of Grafana', () => {
    const plugins = ['https://grafana.com/api/plugins/acme-panel', 'https://grafana.com/api/plugins/other']
    expect(urls(env('GF_INSTALL_PLUGINS', 'acme-panel,other'))).toEqual(plugins)
    expect(urls(env('GF_PLUGINS_PREINSTALL', 'acme-panel, other'))).toEqual(plugins)
    expect(urls(env('GF_INSTALL_PLUGINS', ''))).toEqual([])
    const settings = 'kind: ConfigMap\nmetadata: {name: g}\ndata: {plugins: acme-panel}\n'
    const from = pod(
      'env: [{name: GF_INSTALL_PLUGINS, valueFrom: {configMapKeyRef: {name: g, key: plugins}}}]',
    )
    expect(urls(from, settings)).toEqual(plugins.slice(0, 1))
  })

  it('of Jenkins and Trivy', () => {
    const list = 'kind: ConfigMap\nmetadata: {name: j}\ndata:\n  plugins.txt: |\n    git:5\n    # none\n'
    expect(urls(list)).toEqual(['https://updates.jenkins.io/download/plugins/git:5'])
    const trivy = 'kind: ConfigMap\nmetadata: {name: t}\ndata: {trivy.dbRepository: r.example/trivy-db}\n'
    expect(urls(trivy)).toEqual(['oci://r.example/trivy-db'])
  })
})

describe('resources that make a controller fetch', () => {
  it.each([
    [
      'source.toolkit.fluxcd.io/v1',
      'OCIRepository',
      '{url: "oci://ghcr.io/acme/m", ref: {tag: "1"}}',
      'oci://ghcr.io/acme/m',
    ],
    [
      'source.toolkit.fluxcd.io/v1',
      'HelmRepository',
      '{url: "https://charts.acme.io"}',
      'https://charts.acme.io',
    ],
    ['source.toolkit.fluxcd.io/v1', 'GitRepository', '{url: "ssh://git@acme.io/x"}', 'ssh://git@acme.io/x'],
    [
      'argoproj.io/v1alpha1',
      'Application',
      '{source: {repoURL: "https://charts.acme.io"}}',
      'https://charts.acme.io',
    ],
    [
      'argoproj.io/v1alpha1',
      'Application',
      '{sources: [{repoURL: ghcr.io/acme/charts}]}',
      'oci://ghcr.io/acme/charts',
    ],
    [
      'argoproj.io/v1alpha1',
      'Application',
      '{source: {repoURL: "git@acme.io:a/b.git"}}',
      'git@acme.io:a/b.git',
    ],
    [
      'helm.cattle.io/v1',
      'HelmChart',
      '{repo: "https://charts.acme.io", chart: x}',
      'https://charts.acme.io',
    ],
    [
      'cdi.kubevirt.io/v1beta1',
      'DataVolume',
      '{source: {http: {url: "https://acme.io/d"}}}',
      'https://acme.io/d',
    ],
    [
      'serving.kserve.io/v1beta1',
      'InferenceService',
      '{predictor: {model: {storageUri: "hf://a/b"}}}',
      'hf://a/b',
    ],
  ])('%s %s %s', (apiVersion, kind, spec, url) => {
    expect(urls(resource(apiVersion, kind, spec))).toEqual([url])
  })

  it('not from the cluster itself, and not of other resources', () => {
    const git = (url: string) => resource('source.toolkit.fluxcd.io/v1', 'GitRepository', `{url: "${url}"}`)
    expect(
      urls(git('http://git.ns.svc/x'), git('ssh://git@gitea.ns.svc:22/x'), git('http://10.0.0.1/x')),
    ).toEqual([])
    expect(urls(resource('acme.io/v1', 'GitRepository', '{url: "https://acme.io/x"}'))).toEqual([])
  })
})
