import { generateKeyPairSync } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatReference } from '../../src/core/reference.ts'
import { kinds } from '../../src/kinds/index.ts'
import { loadManifest } from '../../src/manifest/load.ts'
import { starterManifest } from '../../src/manifest/starter.ts'
import { inputsDigest } from '../../src/resolve/inputs.ts'
import { folderWith, head, load, refused } from './support.ts'

const publicKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }).toString()

const names = (manifest: Awaited<ReturnType<typeof load>>) =>
  manifest.images.map(image => formatReference(image.reference))

describe('a manifest', () => {
  it('gets its defaults', async () => {
    const manifest = await load('')
    expect(manifest).toMatchObject({
      name: 'demo',
      version: '1.0.0',
      platforms: [{ os: 'linux', architecture: 'amd64' }],
      images: [],
      charts: [],
      files: [],
      debs: [],
      rpms: [],
      wheels: [],
      deployments: [],
      excuses: [],
      versions: {},
      trees: [],
      sources: [],
      collisions: {},
      firstUse: 'allow',
    })
  })

  it('has guides for people on site, each under a name of its own', async () => {
    const { guides } = await load('guides: [GUIDE.md]\n', { 'GUIDE.md': '# Read this first\n' })
    expect(guides).toEqual({ 'GUIDE.md': expect.stringMatching(/\/GUIDE\.md$/) })
    const files = { 'GUIDE.md': '', node: '' }
    const text = 'guides: [GUIDE.md, ./GUIDE.md, node, gone.txt]\n'
    const { message } = await refused(load(text, files), 'MANIFEST_INVALID')
    expect(message).toMatch(
      /two guides are called GUIDE\.md[\s\S]*not the name of a guide: node[\s\S]*no such file: .*gone\.txt/,
    )
  })

  it('the starter manifest loads, both unchanged and with every example uncommented', async () => {
    const folder = await folderWith({ 'stack.yaml': starterManifest })
    expect((await loadManifest(join(folder, 'stack.yaml'))).name).toBe('my-stack')
    // prose begins with a capital letter or follows a value; the rest are keys and items
    const all = starterManifest.replace(/^(\s*)# (?=\s*(?:- )?[a-z][\w/-]*:(?:\s|$))/gm, '$1')
    const whole = await folderWith({
      'stack.yaml': all,
      'images.txt': 'quay.io/a/b:1\n',
      'packages.txt': 'nfs-common\n',
      'FIELD-GUIDE.md': '',
      'publisher.pub': publicKey,
      'requirements.txt': 'netaddr==0.9.0\n',
      'constraints.txt': 'six<2\n',
    })
    const manifest = await loadManifest(join(whole, 'stack.yaml'))
    const lists = [...kinds.map(({ entry }) => entry.key), 'sources', 'deployments'] as const
    for (const list of lists) expect(manifest[list].length, list).toBeGreaterThan(0)
  })

  it('keeps the place of every entry', async () => {
    const manifest = await load('images:\n  - busybox:1\n  - ref: quay.io/a/b:2\n    referrers: true\n')
    expect(manifest.images.map(image => image.at.replace(/^.*\//, ''))).toEqual([
      'stack.yaml:5:5',
      'stack.yaml:6:5',
    ])
  })

  it('may have a BOM and CRLF, and so may lists', async () => {
    const folder = await folderWith({
      'stack.yaml': `\ufeff${head}images:\n  - list: l.txt\n`.replaceAll('\n', '\r\n'),
      'l.txt': '\ufeff# ours\r\nbusybox:1\r\n\r\nquay.io/a/b:2   # the second\r\n',
    })
    const manifest = await loadManifest(join(folder, 'stack.yaml'))
    expect(names(manifest)).toEqual(['docker.io/library/busybox:1', 'quay.io/a/b:2'])
    expect(manifest.images[1]?.at).toBe(`${join(folder, 'l.txt')}:4:1`)
  })

  it('has the same digest of inputs in any folder and any layout', async () => {
    const plain = await load('images: [busybox:1]\nfiles:\n  - url: https://x.example/a/b\n')
    const other = await load(
      '# comment\n\nfiles: [{url: "https://x.example/a/b"}]\nsources: [{from: docker.io, to: [m.example]}]\nimages:\n  - list: l.txt\n',
      { 'l.txt': '\n# section: base\nbusybox:1 # pinned\n' },
    )
    expect(inputsDigest(other)).toBe(inputsDigest(plain))
  })
})

describe('images', () => {
  it('are read from lists with comments, sections and blank lines', async () => {
    const manifest = await load('images:\n  - list: l.txt\n', {
      'l.txt': '# section: base\n\n  busybox:1\n# docker.io/no:1\nquay.io/a/b:2\t# why\n',
    })
    expect(names(manifest)).toEqual(['docker.io/library/busybox:1', 'quay.io/a/b:2'])
  })

  it.each([
    ['docker.io/mirror/nginx', 'docker.io/mirror/nginx:1.27'],
    ['quay.io/x/nginx:other', 'quay.io/x/nginx:other'],
    ['localhost:5000/nginx', 'localhost:5000/nginx:1.27'],
    ['mirror', 'docker.io/library/mirror:1.27'],
  ])('are fetched from %s', async (from, wanted) => {
    const manifest = await load(`images:\n  - ref: nginx:1.27\n    from: ${from}\n`)
    expect(formatReference(manifest.images[0]!.from)).toBe(wanted)
    expect(names(manifest)).toEqual(['docker.io/library/nginx:1.27'])
  })

  it('listed twice with the same settings are one', async () => {
    const manifest = await load(
      'images:\n  - busybox:1\n  - docker.io/library/busybox:1\n  - list: l.txt\n',
      {
        'l.txt': 'index.docker.io/busybox:1\n',
      },
    )
    expect(names(manifest)).toEqual(['docker.io/library/busybox:1'])
  })

  it('listed twice with different settings are a mistake that names both places', async () => {
    const error = await refused(
      load('images:\n  - busybox:1\n  - ref: busybox:1\n    platforms: [linux/arm64]\n'),
      'NAME_COLLISION',
    )
    expect(error.item).toMatch(/stack\.yaml:5:5 and .*stack\.yaml:6:5/)
  })

  it('may have several names, but a tag has only one digest', async () => {
    const [a, b] = ['a', 'b'].map(digit => `sha256:${digit.repeat(64)}`)
    const several = await load(`images: ["busybox@${a}", "busybox@${b}", "busybox:1@${a}", busybox:2]\n`)
    expect(several.images).toHaveLength(4)
    const error = await refused(
      load(`images:\n  - busybox:1@${a}\n  - docker.io/busybox:1@${b}\n`),
      'NAME_COLLISION',
    )
    expect(error.message).toContain('docker.io/library/busybox:1')
    expect(error.item).toMatch(/stack\.yaml:5:5 and .*stack\.yaml:6:5/)
  })

  it('keep the order of the manifest, in whichever order their lists are read', async () => {
    const names = async () =>
      (
        await load('images: [{list: z.txt}, {list: a.txt}, c:1, {list: z.txt}]\n', {
          'z.txt': 'z:1\ny:1\n',
          'a.txt': 'a:1\nz:1\n',
        })
      ).images.map(image => image.reference.repository)
    expect(await names()).toEqual(['library/z', 'library/y', 'library/a', 'library/c'])
    expect(await names()).toEqual(await names())
  })

  it('without a tag are a mistake, with its place', async () => {
    const error = await refused(
      load('images:\n  - list: l.txt\n', { 'l.txt': 'busybox:1\n  quay.io/a/b\n' }),
      'REFERENCE_INVALID',
    )
    expect(error.item).toMatch(/l\.txt:2:3: quay\.io\/a\/b$/)
    expect(error.message).toContain('neither tag nor digest')
  })

  it('in a missing list: the error names the place of the list', async () => {
    const error = await refused(load('images:\n  - list: gone.txt\n'), 'FILE_NOT_FOUND')
    expect(error.item).toMatch(/gone\.txt$/)
    expect(error.likely).toMatch(/stack\.yaml:5:5/)
  })

  it('keep every reference unchanged (property)', async () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,8}$/)
    const reference = fc
      .tuple(part, part, fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}$/))
      .map(([a, b, tag]) => `${a}.example/${b}/image:${tag}`)
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(reference, { maxLength: 8 }), async references => {
        const manifest = await load('images:\n  - list: l.txt\n', {
          'l.txt': references.map(text => `${text}  # x`).join('\n'),
        })
        expect(names(manifest)).toEqual(references)
      }),
      { numRuns: 25 },
    )
  })
})

describe('charts', () => {
  it.each([
    ['my..chart', '1.0.0'],
    ['web-', '1.0.0'],
    ['web', '1.0.0~rc1'],
  ])('refuses %s %s, which no registry can serve', async (name, version) => {
    await expect(
      load(`charts:\n  - {name: ${name}, repo: "https://a.example", version: ${version}}\n`),
    ).rejects.toMatchObject({ code: 'MANIFEST_INVALID', item: expect.stringMatching(/:\d+:\d+: /) })
  })
  it('of one name and version are requested once', async () => {
    const chart = (repo: string) => `  - {name: a, repo: "${repo}", version: 1.0.0}\n`
    const same = await load(`charts:\n${chart('https://a.example')}${chart('https://a.example')}`)
    expect(same.charts).toHaveLength(1)
    await refused(
      load(`charts:\n${chart('https://a.example')}${chart('oci://b.example/charts')}`),
      'NAME_COLLISION',
    )
    const oneFile =
      'charts:\n  - {name: a, repo: "https://a.example", version: 1-b}\n  - {name: a-1, repo: "https://a.example", version: b}\n'
    await refused(load(oneFile), 'NAME_COLLISION')
  })

  it('of a registry require its host', async () => {
    const error = await refused(
      load('charts:\n  - {name: a, repo: "oci://bitnamicharts", version: 1.0.0}\n'),
      'MANIFEST_INVALID',
    )
    expect(error.likely).toContain('host')
    const good = await load('charts:\n  - {name: a, repo: "oci://localhost:5000/x/", version: 1.0.0}\n')
    expect(good.charts).toHaveLength(1)
  })
})

describe('files', () => {
  const pathOf = async (url: string) => (await load(`files:\n  - url: "${url}"\n`)).files[0]!.path

  it.each([
    ['https://dl.example/a/b.tar.gz', 'dl.example/a/b.tar.gz'],
    ['https://dl.example:8443/a?token=x&y=/z', 'dl.example/a'],
    ['https://dl.example/with%20space/%C3%A9', 'dl.example/with space/é'],
    ['https://DL.example/a#part', 'dl.example/a'],
  ])('%s is stored under its host and path (fault 60)', async (url, path) => {
    expect(await pathOf(url)).toBe(path)
  })

  it.each([
    'https://dl.example',
    'https://dl.example/',
    'https://dl.example/folder/?file=a',
    'https://dl.example/a//b',
    'https://dl.example/a%00b',
    'https://dl.example/a%2F..%2F..%2Fetc',
    'https://dl.example/a%5Cb',
    'https://dl.example/%ff',
  ])('%s contains no file name: `path` is required (fault 60)', async url => {
    const error = await refused(pathOf(url), 'MANIFEST_INVALID')
    expect(error.item).toMatch(/stack\.yaml:5:10/)
    expect(error.next).toContain('path:')
    const named = await load(`files:\n  - {url: "${url}", path: given/name}\n`)
    expect(named.files[0]?.path).toBe('given/name')
  })

  it('with two URLs for one path, or a path that is also a folder, are a mistake', async () => {
    const two =
      'files:\n  - {url: "https://x.example/a", path: p}\n  - {url: "https://x.example/b", path: p}\n'
    await refused(load(two), 'NAME_COLLISION')
    const inside =
      'files:\n  - {url: "https://x.example/a", path: p}\n  - {url: "https://x.example/b", path: p/q/r}\n'
    const error = await refused(load(inside), 'NAME_COLLISION')
    expect(error.message).toContain('both a file and a folder')
  })

  it('with a password in the URL are refused, and the error does not show it', async () => {
    const error = await refused(pathOf('https://me:hunter2@x.example/a'), 'MANIFEST_INVALID')
    expect(JSON.stringify(error)).not.toContain('hunter2')
  })

  it.each(['../x', '/x', 'a//b', 'a/', './a', 'a/../b'])('refuse the path %s', async path => {
    const error = await refused(
      load(`files:\n  - {url: "https://x.example/a", path: "${path}"}\n`),
      'MANIFEST_INVALID',
    )
    expect(error.item).toContain('stack.yaml:5:')
  })
})

describe('packages', () => {
  const deb = (rest: string) =>
    `debs:\n  - name: d\n    archive: http://x.example/debian\n    suite: bookworm\n    keys: [k.asc]\n${rest}`

  it('come from the manifest and from lists, sorted and without duplicates', async () => {
    const manifest = await load(deb('    packages: [jq, socat]\n    lists: [p.txt]\n'), {
      'p.txt': '# section: base\nsocat\ncurl=7.88.1-10+deb12u5 # pinned\n',
    })
    expect(manifest.debs[0]?.packages).toEqual(['curl=7.88.1-10+deb12u5', 'jq', 'socat'])
    expect(manifest.debs[0]?.sources[0]?.keys).toEqual([join(manifest.folder, 'k.asc')])
  })

  it('with invalid names, and entries without packages, are mistakes', async () => {
    const error = await refused(
      load(deb('    lists: [p.txt]\n'), { 'p.txt': 'jq\n  rm -rf /\n' }),
      'MANIFEST_INVALID',
    )
    expect(error.item).toMatch(/p\.txt:2:3$/)
    expect(error.message).toContain('rm -rf /')
    await refused(load(deb('')), 'MANIFEST_INVALID')
  })
})

describe('overlays', () => {
  it('take precedence over the sources of the manifest, the last one first', async () => {
    const folder = await folderWith({
      'stack.yaml': `${head}sources: [{from: docker.io, to: [own.example]}]\n`,
      'company.yaml': 'sources: [{from: docker.io, to: [company.example]}]\n',
      'test.yaml': 'apiVersion: airgap/v1\nsources: [{from: quay.io, to: ["http://127.0.0.1:1"]}]\n',
      'more.yaml': 'sources: []\nimages: [busybox:1]\n',
    })
    const at = (name: string) => join(folder, name)
    const manifest = await loadManifest(at('stack.yaml'), { overlays: [at('company.yaml'), at('test.yaml')] })
    expect(manifest.sources.map(source => source.to[0])).toEqual([
      'http://127.0.0.1:1',
      'company.example',
      'own.example',
    ])
    const error = await refused(
      loadManifest(at('stack.yaml'), { overlays: [at('more.yaml')] }),
      'MANIFEST_INVALID',
    )
    expect(error.message).toContain('more.yaml:2:1: unknown key "images"')
  })
})

describe('an unreadable manifest', () => {
  it('is a folder, a missing file or not text', async () => {
    const folder = await folderWith({ 'bytes.yaml': Buffer.from([0x61, 0xff, 0xfe]) })
    await mkdir(join(folder, 'sub'))
    await refused(loadManifest(join(folder, 'sub')), 'MANIFEST_INVALID')
    await refused(loadManifest(join(folder, 'none.yaml')), 'FILE_NOT_FOUND')
    expect((await refused(loadManifest(join(folder, 'bytes.yaml')), 'MANIFEST_INVALID')).next).toContain(
      'UTF-8',
    )
  })
})
