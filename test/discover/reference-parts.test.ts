import { describe, expect, it } from 'vitest'
import { besides, container, digest, images, resource, undecided } from './support/references.ts'

describe('parts of images', () => {
  it.each([
    ['{repository: quay.io/t/x, tag: 1}', 'quay.io/t/x:1'],
    ['{registry: quay.io, repository: t/x, tag: v1}', 'quay.io/t/x:v1'],
    [`{registry: quay.io, repository: t/x, tag: v1, digest: "${digest}"}`, `quay.io/t/x:v1@${digest}`],
    [`{repository: quay.io/t/x, digest: "${digest}"}`, `quay.io/t/x@${digest}`],
    [`{repository: quay.io/t/x, tag: "1", sha: "${'a'.repeat(64)}"}`, `quay.io/t/x:1@${digest}`],
    ['{repository: quay.io/t, name: x, tag: v1}', 'quay.io/t/x:v1'],
    ['{repository: quay.io/t/x, name: x, tag: v1}', 'quay.io/t/x:v1'],
    ['{registry: quay.io, name: t/x, tag: v1}', 'quay.io/t/x:v1'],
    ['{name: quay.io/t/x, version: v1}', 'quay.io/t/x:v1'],
    ['{repository: nginx, tag: "1.27"}', 'nginx:1.27'],
    ['{hub: quay.io/t, image: x, tag: v1}', 'quay.io/t/x:v1'],
    ['{repository: "", image: quay.io/t/x, version: v1}', 'quay.io/t/x:v1'],
  ])('image: %s', (parts, expected) => {
    expect(images(resource(`spec: {part: {image: ${parts}}}`))).toEqual([expected])
  })

  it.each([
    ['{repository: r.example/nvidia, image: v, version: v24}', 'r.example/nvidia/v:v24'],
    ['{image: acme/explainer, defaultImageVersion: v0.15}', 'acme/explainer:v0.15'],
    ['{agentImage: acme/agent, agentVersion: v2}', 'acme/agent:v2'],
    ['{imageRepository: acme/agent, imageTag: v2}', 'acme/agent:v2'],
    ['{image: quay.io/t/x, tag: v1, version: v9}', 'quay.io/t/x:v1'],
    ['{images: [{name: acme/old, newName: acme/new, newTag: v2}]}', 'acme/new:v2'],
    ['{base: quay.io/acme, components: {server: {tag: v1, image: server}}}', 'quay.io/acme/server:v1'],
    ['{versionTag: v1, image: quay.io/t/x}', 'quay.io/t/x:v1'],
    ['{images: [{name: acme/old, newTag: v2}]}', 'acme/old:v2'],
    ['{global: {hub: docker.io/acme, tag: 1.28, proxy: {image: proxyv2}}}', 'docker.io/acme/proxyv2:1.28'],
    ['{containerRegistry: r.example, web: {image: {name: acme/web, tag: v1}}}', 'r.example/acme/web:v1'],
    ['{images: {logger: {repository: acme, name: logger, tag: v1}}}', 'acme/logger:v1'],
    [
      '{defaults: {registry: r.example}, images: {logger: {repository: acme, name: logger, tag: v1}}}',
      'r.example/acme/logger:v1',
    ],
  ])('spec: %s', (parts, expected) => {
    expect(images(resource(`spec: ${parts}`))).toEqual([expected])
  })

  it.each([
    ['{registry: quay.io, organization: acme, name: x, tag: v1}', 'quay.io/acme/x:v1'],
    ['{registry: quay.io, namespace: acme, name: x, tag: v1}', 'quay.io/acme/x:v1'],
    ['{registry: quay.io, project: acme, repository: x, tag: v1}', 'quay.io/acme/x:v1'],
  ])('with an organization of their own: image: %s', (parts, expected) => {
    expect(images(resource(`spec: {part: {image: ${parts}}}`))).toEqual([expected])
  })

  it.each([
    [{ X_REGISTRY: 'quay.io', X_REGISTRY_NAMESPACE: 'acme', X_NAME_TAG: 'x:1' }, 'quay.io/acme/x:1'],
    [{ X_REGISTRY: 'quay.io', X_ORG: 'acme', X_IMAGE: 'x:1' }, 'quay.io/acme/x:1'],
    [
      { IMAGE_REGISTRY: 'quay.io', IMAGE_ORG: 'acme', IMAGE_NAME: 'x', IMAGE_VERSION: '1' },
      'quay.io/acme/x:1',
    ],
    [
      { X_IMAGE_REGISTRY: 'quay.io', X_IMAGE_NAMESPACE: 'acme', X_IMAGE_REPO: 'x', X_IMAGE_TAG: '1' },
      'quay.io/acme/x:1',
    ],
    [{ X_REGISTRY_HOST: 'r.example:5000', X_IMAGE: 'acme/x:1' }, 'r.example:5000/acme/x:1'],
    [{ IMAGE_REGISTRY: 'quay.io/acme', IMAGE_TAG: 'v1', X_IMAGE: 'x' }, 'quay.io/acme/x:v1'],
    [{ IMAGE_REGISTRY: 'quay.io/acme', IMAGE_TAG: 'v1', X_IMAGE: 'x:v2' }, 'quay.io/acme/x:v2'],
    [{ X_BASE_IMAGE: 'quay.io/acme/x', X_VERSION: 'v1' }, 'quay.io/acme/x:v1'],
  ])('in variables and flags of their own: %j', (parts, expected) => {
    const env = Object.entries(parts).map(([name, value]) => ({ name, value }))
    expect(besides(`env: ${JSON.stringify(env)}`)).toEqual([expected])
    const flags = env.map(({ name, value }) => `--${name.toLowerCase().replaceAll('_', '-')}=${value}`)
    expect(besides(`args: ${JSON.stringify(flags)}`)).toEqual([expected])
  })

  it('are not joined with the namespace of the cluster, or with a registry that is another setting', () => {
    expect(
      besides('env: [{name: X_NAMESPACE, value: kube-system}, {name: X_IMAGE, value: "acme/x:1"}]'),
    ).toEqual(['acme/x:1'])
    expect(
      besides('env: [{name: SCAN_REGISTRY, value: r.example}, {name: X_IMAGE, value: "acme/x:1"}]'),
    ).toEqual(['acme/x:1'])
  })

  it('of a common registry and version', () => {
    const parts = '{registry: quay.io/acme, version: v1, components: {a: {image: a}, b: {image: b, tag: v2}}}'
    expect(images(resource(`spec: ${parts}`))).toEqual(['quay.io/acme/a:v1', 'quay.io/acme/b:v2'])
  })

  it.each(['quay.io/acme', 'ghcr.io/acme', 'registry.gitlab.com/acme', 'europe-docker.pkg.dev/acme/x'])(
    'that are only a folder of a registry are unknown images: %s',
    folder => {
      const text = resource(`spec: {repository: ${folder}, version: 1.2.0}`)
      expect([images(text), undecided(text)]).toEqual([[], [folder]])
      expect(images(resource(`spec: {image: "${folder}:1", text: "uses ${folder}:1"}`))).toEqual([])
    },
  )

  it('that contain the program which has them as its default are a folder', () => {
    const text = container('env: [{name: MS_REPOSITORY, value: quay.io/t}, {name: MS_TAG, value: v1}]')
      .replace('quay.io/t/x:1', 'registry.example/acme/operator:v1')
      .replace('quay.io/t', 'registry.example/acme')
    expect([images(text), undecided(text)]).toEqual([
      ['registry.example/acme/operator:v1'],
      ['registry.example/acme'],
    ])
  })

  it('at the root of a registry that has such images', () => {
    expect(images(resource('spec: {image: "registry.k8s.io/pause:3.9"}'))).toEqual([
      'registry.k8s.io/pause:3.9',
    ])
    expect(images(resource('spec: {image: "k8s.gcr.io/pause:3.9"}'))).toEqual(['k8s.gcr.io/pause:3.9'])
  })

  it('of charts are no images', () => {
    expect(
      images(resource('spec: {source: {repository: "oci://ghcr.io/acme/charts", name: x, version: 1.0.0}}')),
    ).toEqual([])
  })

  it('of components with a common repository are several images', () => {
    const part = (name: string) =>
      `{service: {image: {name: ${name}, repository: ghcr.io/acme/s, tag: 1.0.0}}}`
    expect(images(resource(`spec: {a: ${part('binder')}, b: ${part('admission')}}`))).toEqual([
      'ghcr.io/acme/s/binder:1.0.0',
      'ghcr.io/acme/s/admission:1.0.0',
    ])
  })

  it('without a version are reported as unknown, unless a version is found elsewhere', () => {
    const text = resource('spec: {image: quay.io/acme/database}')
    expect([images(text), undecided(text)]).toEqual([[], ['quay.io/acme/database']])
    expect(undecided(`${text}---\n${resource('spec: {image: "quay.io/acme/database:1"}')}`)).toEqual([])
  })
})
