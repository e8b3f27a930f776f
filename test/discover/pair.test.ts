import { describe, expect, it } from 'vitest'
import type { Found } from '../../src/discover/found.ts'
import { pairImages } from '../../src/discover/pair.ts'

const registry = 'registry.invalid:5000'

/** Images as `object path text`; without the site's registry where the text begins with `!`. */
function found(...images: string[]): Found {
  return {
    images: images.map(line => {
      const [object = '', path = '', text = ''] = line.split(' ')
      const seen = { release: 'prod: app', object: object.replace('/', ' '), path, how: 'container' as const }
      return { text, seen }
    }),
    urls: [],
    undecided: [],
  }
}

const upstreams = (site: Found, inPublic: Found) =>
  pairImages({ site, public: inPublic }, registry).map(({ upstream, unknown }) =>
    unknown ? `unknown: ${upstream}` : upstream,
  )

describe('images of one place', () => {
  it('with the same end of the name are told apart by their path', () => {
    const site = found(`ConfigMap/a data ${registry}/a/proxy:1`, `ConfigMap/a data ${registry}/b/proxy:1`)
    for (const names of [
      ['quay.io/a/proxy:1', 'ghcr.io/b/proxy:1'],
      ['ghcr.io/b/proxy:1', 'quay.io/a/proxy:1'],
    ])
      expect(upstreams(site, found(...names.map(name => `ConfigMap/a data ${name}`)))).toEqual([
        'quay.io/a/proxy:1',
        'ghcr.io/b/proxy:1',
      ])
  })

  it('with the same path have an unknown upstream', () => {
    const site = found(`ConfigMap/a data ${registry}/a/proxy:1`)
    const both = found('ConfigMap/a data quay.io/a/proxy:1', 'ConfigMap/a data ghcr.io/a/proxy:1')
    expect(upstreams(site, both)).toEqual(['unknown: a/proxy:1'])
  })

  it('are told apart by whether an operator appends the OS of the node', () => {
    const image = {
      text: `${registry}/a/driver:1`,
      seen: { release: 'prod: app', object: 'A b', path: 'c', how: 'container' as const },
    }
    const perNode = { ...image, perNode: true as const, seen: { ...image.seen, path: 'd' } }
    for (const images of [
      [image, perNode],
      [perNode, image],
    ]) {
      const inPublic = images.map(one => ({ ...one, text: 'quay.io/a/driver:1' }))
      const none = { urls: [], undecided: [] }
      const used = pairImages({ site: { images, ...none }, public: { images: inPublic, ...none } }, registry)
      expect(used.map(one => one.perNode).toSorted()).toEqual([true, undefined])
    }
  })
})

describe('objects whose names differ between the renderings', () => {
  it('are paired by kind and place', () => {
    expect(
      upstreams(
        found(`Job/migrate-abcde c ${registry}/t/job:1`),
        found('Job/migrate-fghij c quay.io/t/job:1'),
      ),
    ).toEqual(['quay.io/t/job:1'])
  })

  it('are told apart by the rest of their names, where two upstreams have the same path', () => {
    const site = found(`Job/a-1 c ${registry}/t/job:1`, `Job/b-2 c ${registry}/t/job:1`)
    expect(upstreams(site, found('Job/a-8 c quay.io/t/job:1', 'Job/b-9 c ghcr.io/t/job:1'))).toEqual([
      'quay.io/t/job:1',
      'ghcr.io/t/job:1',
    ])
  })

  it('are told apart by the path of the image', () => {
    const site = found(`Job/x1 c ${registry}/a/job:1`, `Job/x2 c ${registry}/b/job:1`)
    expect(upstreams(site, found('Job/y1 c quay.io/b/job:1', 'Job/y2 c quay.io/a/job:1'))).toEqual([
      'quay.io/a/job:1',
      'quay.io/b/job:1',
    ])
  })

  it('have an unknown upstream where the candidates differ, or where there is none', () => {
    const site = found(`Job/x1 c ${registry}/t/job:1`)
    expect(upstreams(site, found('Job/y1 c quay.io/t/job:1', 'Job/y2 c ghcr.io/t/job:1'))).toEqual([
      'unknown: t/job:1',
    ])
    expect(upstreams(site, found('Pod/other c quay.io/u/other:1'))).toEqual(['unknown: t/job:1'])
  })

  it('may be in another kind of place, if the site serves the image under that path', () => {
    const site = found(`ConfigMap/a data["1.sh"] ${registry}/library/nginx:1`)
    expect(upstreams(site, found('ConfigMap/a data["2.sh"] nginx:1'))).toEqual(['docker.io/library/nginx:1'])
  })
})
