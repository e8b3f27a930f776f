import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MemoryStore } from '../../src/content/memory-store.ts'
import { digestOf } from '../../src/core/digest.ts'
import type { DebSource } from '../../src/kinds/deb/entry.ts'
import { debKind } from '../../src/kinds/deb/index.ts'
import type { LockedDebs } from '../../src/kinds/deb/locked.ts'
import { openSiteKey, type SiteKey } from '../../src/site/site-key.ts'
import { aptSandbox } from '../kinds/deb/support/apt.ts'
import { Gpg, makeDeb } from '../kinds/deb/support/archive.ts'
import { missing, must, tempFolder } from '../kinds/deb/support/programs.ts'
import { fullRequest, sourceOf, withContext } from '../kinds/deb/support/resolve.ts'
import { type FileServer, serveFolder } from '../kinds/deb/support/server.ts'
import { contentOf } from './support/sample-site.ts'
import { serveSite } from './support/served-site.ts'

const lacking = missing('apt-get', 'apt-ftparchive', 'dpkg-deb', 'gpg', 'curl', 'bzip2')

/** One suite of an archive, as its publisher lays it out. */
interface Layout {
  /** of the archive on its server, decoded: `core:/stable:` */
  path?: string
  suite: string
  component?: string
  /** `Filename` of each package → where its file is below the archive, if elsewhere */
  packages: Record<string, { filename: string; file?: string }>
  /** fields of Release in place of its own; an empty one is left out */
  release?: Record<string, string>
  /** of the index: `binary-amd64` unless given */
  folder?: string
  /** the program that compresses the index, which is then there in no other form */
  packedBy?: string
  /** bytes of the index, as it is published */
  text?: (packages: string) => Buffer
  /** what apt says on the site, as it says of upstream */
  warning?: RegExp
}

const plain = { filename: 'pool/app_1.0_all.deb' }
const layouts: [string, Layout[]][] = [
  ['flat, at the root', [{ suite: './', packages: { app: { filename: './app_1.0_all.deb' } } }]],
  [
    'flat, without the dot',
    [{ path: 'x86_64', suite: '/', packages: { app: { filename: 'app_1.0_all.deb' } } }],
  ],
  ['flat, in a folder', [{ suite: 'binary/', packages: { app: { filename: 'binary/app_1.0_all.deb' } } }]],
  [
    'flat, with dots and slashes that mean nothing',
    [
      {
        path: 'cran',
        suite: './',
        packages: { app: { filename: './/a/./b//app.deb', file: 'a/b/app.deb' } },
      },
    ],
  ],
  [
    'flat, under colons',
    [
      {
        path: 'core:/stable:/v1.28/deb',
        suite: '/',
        packages: { app: { filename: 'amd64/app_1.0_all.deb' } },
      },
    ],
  ],
  [
    'flat, in a folder of another archive’s index',
    [
      { path: 'dists/other/main/binary-amd64', suite: './', packages: { app: { filename: './app.deb' } } },
      { suite: 'stable', packages: { lib: { filename: 'pool/lib.deb' } } },
    ],
  ],
  [
    'names that need escapes',
    [
      {
        suite: 'stable',
        packages: {
          app: { filename: 'pool/app_5%3a20.10~3-0~ubuntu+x1_all.deb' },
          one: { filename: 'pool/one_1:2.0+b~1_all.deb' },
          two: { filename: 'pool/two%2b%7e%2B%zz_all.deb' },
          three: { filename: "pool/thr ee'[1]{2}^|;&=@!$(),_all.deb" },
          four: { filename: 'pool/vi\u00eat_\u1100.deb' },
          five: { filename: './pool//five.deb', file: 'pool/five.deb' },
        },
      },
    ],
  ],
  ['a component with a slash', [{ suite: 'stable', component: 'updates/main', packages: { app: plain } }]],
  ['a suite with a slash', [{ path: '+x/~u', suite: 'jammy/nv', packages: { app: plain } }]],
  [
    'a suite and a component that look alike',
    [
      { path: 'a', suite: 'stable', component: 'updates/main', packages: { app: plain } },
      {
        path: 'b',
        suite: 'stable/updates',
        component: 'main',
        packages: { lib: { filename: 'pool/lib.deb' } },
      },
    ],
  ],
  [
    'packages beside the indexes',
    [
      {
        suite: 'jammy',
        component: 'stable',
        packages: { app: { filename: 'dists/jammy/pool/stable/amd64/app.deb' } },
      },
    ],
  ],
  [
    'a suite with a path below its name',
    [
      {
        suite: 'buster/updates',
        packages: { app: plain },
        release: { Suite: 'oldstable', Codename: 'buster' },
      },
    ],
  ],
  [
    'a suite of another name',
    [
      {
        suite: 'devel',
        packages: { app: plain },
        release: { Suite: 'resolute', Codename: 'resolute' },
        warning: /^W: Conflicting distribution: .* \(expected devel but got resolute\)$/,
      },
    ],
  ],
  ['a suite without a name', [{ suite: 'nameless', packages: { app: plain }, release: { Suite: '' } }]],
  ['a suite without a date', [{ suite: 'stable', packages: { app: plain }, release: { Date: '' } }]],
  [
    'packages for all architectures alone',
    [{ suite: 'stable', packages: { app: plain }, release: { Architectures: 'all' }, folder: 'binary-all' }],
  ],
  ['an index in bzip2 alone', [{ suite: 'stable', packages: { app: plain }, packedBy: 'bzip2' }]],
  [
    'descriptions in Latin-1',
    [
      {
        suite: 'stable',
        packages: { app: plain },
        text: text => Buffer.from(text.replace('test package', 'caf\u00e9'), 'latin1'),
      },
    ],
  ],
  [
    'lines that end in a carriage return',
    [{ suite: 'stable', packages: { app: plain }, text: text => Buffer.from(text.replaceAll('\n', '\r\n')) }],
  ],
  [
    'an address with a blank and a percent sign',
    [{ path: 'my repo/100%/x', suite: 'stable', packages: { app: plain } }],
  ],
]

describe.skipIf(lacking.length > 0)(
  `every layout that locks is installed from the site by stock apt (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let folder: string
    let gpg: Gpg
    let publisher: string
    let siteKey: SiteKey

    beforeAll(async () => {
      folder = resources.use(await tempFolder()).path
      gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
      await gpg.makeKey('publisher')
      publisher = await gpg.exportTo(join(folder, 'publisher.asc'), 'publisher')
      siteKey = await openSiteKey({ folder: join(folder, 'state'), now: () => new Date() })
    })
    afterAll(() => resources.disposeAsync())

    it.each(layouts)('%s', async (name, suites) => {
      const place = join(folder, name.replaceAll(/[^a-z]+/g, '-'))
      const debs = await publish(place, suites)
      await using upstream = await serveFolder(join(place, 'upstream'))
      const locked = await lock(place, { upstream, suites })
      await using site = await serveSite([await bundleOf(locked, upstream)], siteKey)
      const key = join(place, 'site.asc')
      await writeFile(key, siteKey.publicKeyArmored)
      const sources = site.clients.find(({ kind }) => kind === 'apt-sources')!.text
      const apt = await aptSandbox(join(place, 'apt'), {
        sources: sources.replaceAll('/etc/apt/keyrings/airgap-site.asc', key),
      })
      const update = await apt.apt('update')
      expect(update.status, sources + update.stdout + update.stderr).toBe(0)
      const warning = suites.find(layout => layout.warning)?.warning
      if (warning === undefined) expect(update.stderr).toBe('')
      else expect(update.stderr.trim()).toMatch(warning)
      const install = await apt.apt('install', '-y', '--download-only', ...debs.keys())
      expect(install.status, sources + install.stdout + install.stderr).toBe(0)
      const cache = join(place, 'apt/cache/archives')
      const digests = await Promise.all(
        (await readdir(cache))
          .filter(file => file.endsWith('.deb'))
          .map(async file => [file.split('_')[0], digestOf(await readFile(join(cache, file)))] as const),
      )
      expect(Object.fromEntries(digests)).toEqual(Object.fromEntries(debs))
    })

    it('apt reaches the site without the proxy of the machine', async () => {
      const place = join(folder, 'proxy')
      const suites: Layout[] = [{ suite: 'stable', packages: { app: plain } }]
      await publish(place, suites)
      await using upstream = await serveFolder(join(place, 'upstream'))
      const locked = await lock(place, { upstream, suites })
      await using site = await serveSite([await bundleOf(locked, upstream)], siteKey)
      const key = join(place, 'site.asc')
      await writeFile(key, siteKey.publicKeyArmored)
      const textOf = (kind: string) => site.clients.find(client => client.kind === kind)!.text
      const sources = textOf('apt-sources').replaceAll('/etc/apt/keyrings/airgap-site.asc', key)
      const settings = { 'Acquire::http::Proxy': 'http://127.0.0.1:9' }
      const env = { http_proxy: 'http://127.0.0.1:9' }
      const apt = await aptSandbox(join(place, 'apt'), { sources, settings, env })
      expect((await apt.apt('update', '--error-on=any')).status).not.toBe(0)
      const { path, text } = site.clients.find(({ kind }) => kind === 'apt-conf')!
      await writeFile(join(place, path.replace(/^etc/, 'apt/etc')), text)
      const update = await apt.apt('update', '--error-on=any')
      expect([update.status, update.stderr]).toEqual([0, ''])
      expect((await apt.apt('install', '-y', '--download-only', 'app')).status).toBe(0)
    })

    it('serves a path as apt, dnf, pip and curl write it', async () => {
      const place = join(folder, 'spellings')
      const names = ['a_1%3a2+b~c^d.deb', 'sub dir/e:f.deb', 'vi\u00eat.deb', '%7e.deb', '~.deb']
      const packages = Object.fromEntries(names.map((name, i) => [`p${i}`, { filename: `pool/${name}` }]))
      const suites: Layout[] = [{ path: 'x', suite: 'stable', packages }]
      const debs = await publish(place, suites)
      await using upstream = await serveFolder(join(place, 'upstream'))
      await using site = await serveSite(
        [await bundleOf(await lock(place, { upstream, suites }), upstream)],
        siteKey,
      )
      const base = `${site.url}/debs/test/${new URL(upstream.url).host.replace(':', '_')}/x`
      const get = async (path: string) => {
        const file = join(place, 'got')
        const status = await must('curl', [
          '-s',
          '--globoff',
          '--path-as-is',
          '-o',
          file,
          '-w',
          '%{http_code}',
          `${base}/${path}`,
        ])
        return [status, digestOf(await readFile(file))]
      }
      const spellings = {
        p0: [
          'pool/a_1%253a2%2bb%7ec%5ed.deb',
          'pool/a_1%3a2+b~c^d.deb',
          'pool/a_1:2+b~c^d.deb',
          './pool/./a_1%253A2%2Bb~c%5Ed.deb',
        ],
        p1: ['pool/sub%20dir/e:f.deb', '%2e/pool/sub%20dir/e%3Af.deb'],
        p2: ['pool/vi\u00eat.deb', 'pool/vi%c3%aat.deb'],
        p3: ['pool/%257e.deb'],
        p4: ['pool/~.deb', 'pool/%7e.deb', 'pool/%7E.deb'],
      }
      for (const [name, paths] of Object.entries(spellings))
        for (const path of paths) expect([path, ...(await get(path))]).toEqual([path, '200', debs.get(name)])
      for (const path of [
        'pool/../pool/~.deb',
        'pool/%2e%2e/pool/~.deb',
        'pool//~.deb',
        'pool%2f~.deb',
        'pool/.%2e/x',
      ])
        expect([path, (await get(path))[0]]).toEqual([path, '400'])
    })

    /** Writes the archives with stock tools; returns the digest of each package by name. */
    async function publish(place: string, suites: Layout[]): Promise<Map<string, string>> {
      const debs = new Map<string, string>()
      for (const layout of suites) {
        const { path = '', suite, component = 'main', packages, folder = 'binary-amd64' } = layout
        const archive = join(place, 'upstream', path)
        let stanzas = ''
        for (const [name, { filename, file = filename }] of Object.entries(packages)) {
          const target = join(archive, file)
          await mkdir(dirname(target), { recursive: true })
          const made = join(place, 'made', name)
          await mkdir(made, { recursive: true })
          await copyFile(await makeDeb(made, { name }), target)
          debs.set(name, digestOf(await readFile(target)))
          const text = await must('apt-ftparchive', ['packages', '.'], { cwd: made })
          stanzas += `${text.replace(/^Filename: .*$/m, () => `Filename: ${filename}`).trim()}\n\n`
        }
        const isFlat = suite.endsWith('/')
        const base = join(archive, isFlat ? suite : `dists/${suite}`)
        const index = isFlat ? base : join(base, component, folder)
        await mkdir(index, { recursive: true })
        await writeFile(join(index, 'Packages'), layout.text?.(stanzas) ?? stanzas)
        if (layout.packedBy !== undefined) await must(layout.packedBy, ['--keep', join(index, 'Packages')])
        const fields = {
          ...(isFlat ? {} : { Suite: suite, Components: component, Architectures: 'amd64' }),
          ...layout.release,
        }
        const settings = Object.entries(fields).flatMap(([field, value]) => [
          '-o',
          `APT::FTPArchive::Release::${field}=${value}`,
        ])
        const release = await must('apt-ftparchive', [...settings, 'release', '.'], { cwd: base })
        const listed = release
          .split('\n')
          .filter(
            line =>
              !line.startsWith(' ') ||
              line.includes(`/${basename(index)}/Packages`) ||
              line.endsWith(' Packages'),
          )
          .filter(
            line =>
              !Object.entries(layout.release ?? {}).some(
                ([field, value]) => value === '' && line.startsWith(`${field}:`),
              ),
          )
        if (layout.packedBy !== undefined) await rm(join(index, 'Packages'))
        await writeFile(join(base, 'Release'), listed.join('\n'))
        await gpg.run('--output', join(base, 'InRelease'), '--clearsign', join(base, 'Release'))
      }
      return debs
    }

    async function lock(
      place: string,
      { upstream, suites }: { upstream: FileServer; suites: Layout[] },
    ): Promise<LockedDebs> {
      const sources = suites.map(({ path = '', suite, component = 'main' }): DebSource => {
        const archive = `${upstream.url}/${encodeURI(path)}`
        return sourceOf({
          archive,
          suite,
          components: suite.endsWith('/') ? [] : [component],
          keys: [publisher],
        })
      })
      const packages = suites.flatMap(layout => Object.keys(layout.packages))
      const request = { ...fullRequest({ archive: upstream.url, keys: [publisher], packages }), sources }
      return await withContext({ folder: place }, context => debKind.resolve(request, context))
    }

    /** What the build fetches, from where the lock says. */
    async function bundleOf(locked: LockedDebs, upstream: FileServer) {
      const artifacts = debKind.assemble([debKind.schema.parse(locked)])
      const content = await contentOf(artifacts)
      for (const { descriptor, sources } of artifacts.flatMap(artifact => artifact.blobs)) {
        const [source] = sources
        if (source?.type !== 'url') throw new Error('a package has no URL')
        expect(source.url.startsWith(`${upstream.url}/`)).toBe(true)
        const bytes = Buffer.from(await (await fetch(source.url)).arrayBuffer())
        await (content as unknown as MemoryStore).push(descriptor, Readable.from([bytes]))
      }
      return content
    }
  },
)
