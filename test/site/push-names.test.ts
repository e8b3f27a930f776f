import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../../src/core/descriptor.ts'
import { digestOf } from '../../src/core/digest.ts'
import { AirgapError } from '../../src/core/errors.ts'
import { mediaTypes } from '../../src/core/media-types.ts'
import { namedRoots } from '../../src/site/images.ts'
import { parseRegistry, pushTargets } from '../../src/site/push-names.ts'

function root(name: string, kind: 'image' | 'chart' = 'image', content = name): Descriptor {
  const annotations = { 'org.opencontainers.image.ref.name': name, 'io.astrago.airgap.kind': kind }
  return { mediaType: mediaTypes.ociManifest, digest: digestOf(content), size: 2, annotations }
}

function targets(
  roots: Descriptor[],
  options: { keepHost?: boolean; collisions?: Record<string, string>; registry?: string } = {},
): string[] {
  const registry = parseRegistry(options.registry ?? 'r.example')
  const { keepHost = false, collisions = {} } = options
  return pushTargets(namedRoots(roots), { registry, keepHost, collisions }).map(({ to }) => to)
}

function thrown(action: () => unknown): AirgapError {
  try {
    action()
  } catch (error) {
    if (error instanceof AirgapError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('names in the registry', () => {
  it('leave the upstream host out, and put everything under the prefix', () => {
    const roots = [
      root('quay.io/calico/node:v3'),
      root('charts/hello:1.0.0', 'chart'),
      root('ghcr.io/a/charts/x:2', 'chart'),
    ]
    expect(targets(roots, { registry: 'r.example:5000/team/a/' })).toEqual([
      'r.example:5000/team/a/calico/node:v3',
      'r.example:5000/team/a/charts/hello:1.0.0',
      'r.example:5000/team/a/a/charts/x:2',
    ])
  })

  it('keep the upstream host on request; a port cannot be part of a repository name', () => {
    const roots = [
      root('quay.io/calico/node:v3'),
      root('Local.Example:5000/x:1'),
      root('charts/hello:1.0.0', 'chart'),
    ]
    expect(targets(roots, { keepHost: true })).toEqual([
      'r.example/quay.io/calico/node:v3',
      'r.example/local.example_5000/x:1',
      'r.example/charts/hello:1.0.0',
    ])
    expect(thrown(() => targets([root('[::1]:5000/x:1')], { keepHost: true }))).toMatchObject({
      code: 'UNSUPPORTED',
    })
  })

  it('have the digest where there is no tag', () => {
    const digest = digestOf('x')
    expect(targets([root(`quay.io/a/b@${digest}`, 'image', 'x')])).toEqual([`r.example/a/b@${digest}`])
  })

  it('are told apart: a collision is an error that names both, or settled as on the site', () => {
    const roots = [root('quay.io/a/b:1'), root('ghcr.io/a/b:1')]
    const error = thrown(() => targets(roots))
    expect(error).toMatchObject({ code: 'NAME_COLLISION', exitCode: 2, item: 'r.example/a/b:1' })
    expect(error.message).toMatch(/quay\.io\/a\/b:1 and ghcr\.io\/a\/b:1/)
    expect(targets(roots, { collisions: { 'a/b': 'ghcr.io' } })).toEqual([
      'r.example/quay.io/a/b:1',
      'r.example/a/b:1',
    ])
    expect(targets([root('quay.io/a/b:1', 'image', 'x'), root('ghcr.io/a/b:1', 'image', 'x')])).toEqual([
      'r.example/a/b:1',
      'r.example/a/b:1',
    ])
  })
})

describe('the registry to push to', () => {
  it.each([
    ['r.example', 'r.example', ''],
    ['127.0.0.1:5000/', '127.0.0.1:5000', ''],
    ['[::1]:5000/a', '[::1]:5000', 'a'],
    ['localhost:5000/team/air-gap', 'localhost:5000', 'team/air-gap'],
  ])('%s', (text, host, prefix) => expect(parseRegistry(text)).toEqual({ host, prefix }))

  it.each([
    '',
    '/',
    'r.example/Team',
    'r.example:port',
    'r.example/../x',
    '-r.example',
    'r example',
    'oci://r',
  ])('fault 91: %j is none', text =>
    expect(thrown(() => parseRegistry(text))).toMatchObject({ code: 'USAGE', exitCode: 2 }),
  )

  it.each(['me:pass-word@r.example', 'https://me:pass-word@r.example/team'])(
    'fault 97: %s does not show its password again',
    text => expect(JSON.stringify(thrown(() => parseRegistry(text)))).not.toContain('pass-word'),
  )
})
