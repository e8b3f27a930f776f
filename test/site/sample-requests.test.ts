import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { checkStep } from '../../src/install/steps/check.ts'
import { kinds } from '../../src/kinds/index.ts'
import { namedRoots } from '../../src/site/images.ts'
import { httpRequests, registryRequests } from '../../src/site/sample-requests.ts'
import { openSiteKey, type SiteKey } from '../../src/site/site-key.ts'
import { testContext } from '../install/support.ts'
import { contentOf, sampleStack, sampleTree } from './support/sample-site.ts'
import { type ServedSite, serveSite } from './support/served-site.ts'

const index = {
  files: [
    { project: 'six', version: '1', filename: 'six-1-py3-none-any.whl', sha256: 'a'.repeat(64), size: 5 },
  ],
}
const commit = 'c'.repeat(40)
const gitFiles = {
  'a/HEAD': 'ref: refs/heads/a\n',
  'a/info/refs': `${commit}\trefs/heads/a\n`,
  'a/objects/info/packs': `P pack-${commit}.pack\n\n`,
  [`a/objects/pack/pack-${commit}.pack`]: 'x'.repeat(1000),
}
/** A tree of each kind that the HTTP server serves. */
const trees = {
  'rpms/el9': [
    'rpm',
    { 'r/repodata/primary.xml': '<metadata/>', 'r/repodata/filelists.xml': '<filelists/>' },
  ],
  git: ['git', gitFiles],
  pypi: ['wheel', { 'index.json': JSON.stringify(index), 'six/six-1-py3-none-any.whl': 'wheel' }],
} as const
const stack = [
  ...sampleStack(),
  ...Object.entries(trees).flatMap(([name, [kind, files]]) => sampleTree(name, files, kind)),
]

let folder: string
let site: ServedSite
let key: SiteKey
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-requests-'))
  key = await openSiteKey({ folder, now: () => new Date() })
  site = await serveSite([await contentOf(stack)], key)
})
afterAll(async () => {
  await site[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

describe('sample requests to a site', () => {
  it('request a file and a generated document of every folder that is served', () => {
    const requests = httpRequests(site.mounts, site.url).map(({ url, expected }) => [
      url.slice(site.url.length),
      expected === undefined ? 'any' : 'digest',
    ])
    expect(requests).toEqual([
      ['/charts/demo-1.0.0%2Bx.tgz', 'digest'],
      ['/charts/index.yaml', 'any'],
      ['/files/get.example/tool.txt', 'digest'],
      ['/debs/debian-12/pool/main/j/jq_1.6_amd64.deb', 'digest'],
      ['/debs/debian-12/dists/bookworm/Release', 'any'],
      ['/rpms/el9/r/repodata/primary.xml', 'digest'],
      ['/rpms/el9/r/repodata/repomd.xml', 'any'],
      ['/pypi/six/six-1-py3-none-any.whl', 'digest'],
      ['/pypi/simple/', 'any'],
      ['/git/a/HEAD', 'digest'],
      ['/git/a/info/refs?service=git-upload-pack', 'any'],
    ])
  })

  it('are all answered by the server', async () => {
    const context = testContext()
    await checkStep({ requests: httpRequests(site.mounts, site.url) }).apply(context)
    expect(context.notes).toHaveLength(11)
  })

  it('miss no kind that has trees on the HTTP server', () => {
    const names = stack.map(({ root }) => root.annotations?.['org.opencontainers.image.ref.name'] ?? '')
    const served = kinds.flatMap(({ name, mounts }) => {
      const { http } = mounts
      return http !== 'none' && names.some(tree => http.serves(tree)) ? [name] : []
    })
    expect(served).toEqual(
      kinds
        .filter(({ mounts }) => mounts.http !== 'none')
        .map(({ name }) => name)
        .filter(name => name !== 'chart'),
    )
  })

  it('fail where the server answers with other bytes', async () => {
    const [request] = httpRequests(site.mounts, site.url)
    const wrong = { ...request!.expected!, digest: digestOf('another') }
    const step = checkStep({ requests: [{ url: request!.url, expected: wrong }] })
    await expect(step.apply(testContext())).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
  })

  it('request one manifest as containerd does, of a chart where there is no image', async () => {
    const named = namedRoots(stack.map(({ root }) => root))
    expect(registryRequests(named, 'https://site:35000')[0]?.url).toBe(
      'https://site:35000/v2/library/busybox/manifests/1.36?ns=docker.io',
    )
    expect(registryRequests([], 'https://site:35000')).toEqual([])
  })
})
