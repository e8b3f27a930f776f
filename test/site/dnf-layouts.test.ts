import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Source } from '../../src/content/artifact.ts'
import type { MemoryStore } from '../../src/content/memory-store.ts'
import type { RpmRequest } from '../../src/kinds/rpm/entry.ts'
import { rpmKind } from '../../src/kinds/rpm/index.ts'
import type { LockedRpms } from '../../src/kinds/rpm/locked.ts'
import { createHttpClient } from '../../src/remote/http-client.ts'
import { fetchMirrorList } from '../../src/remote/mirror-list.ts'
import { openSiteKey, type SiteKey } from '../../src/site/site-key.ts'
import { Gpg } from '../kinds/deb/support/archive.ts'
import { run, tempFolder } from '../kinds/deb/support/programs.ts'
import { withContext } from '../kinds/deb/support/resolve.ts'
import { serveFolder } from '../kinds/deb/support/server.ts'
import { dnfSandbox, lackingForRpm, makeRpms } from './support/rpm.ts'
import { contentOf } from './support/sample-site.ts'
import { type ServedSite, serveSite } from './support/served-site.ts'
import { publishYum, rpmOf, type YumLayout } from './support/yum-publisher.ts'

/** Packages of one kind: signed by the publisher, or not. `app` requires `lib`. */
interface Built {
  app: string
  lib: string
  /** the same version again, other bytes */
  again: string
}

type Layout = {
  layout: (built: Built, url: string) => YumLayout
  unsigned?: true
  /** `subkey`: list and packages; `nobody`: the list (default: the publisher's primary key) */
  signedBy?: 'subkey' | 'nobody'
  /** what lists its mirrors, of which the first is out of date or missing */
  list?: 'mirrorlist' | 'metalink'
  request?: Partial<RpmRequest>
  repository?: Partial<RpmRequest['repositories'][number]>
  /** arguments of dnf, for the publisher's repository and for the site's */
  install?: string[]
  /** lines of the site's section in the .repo file */
  section?: string[]
}

const plain = ({ app, lib }: Built): YumLayout['packages'] => ({
  'Packages/app.rpm': { from: app },
  'Packages/lib.rpm': { from: lib },
})

const comps = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps><group><id>tools</id><name>Tools</name><packagelist><packagereq type="mandatory">app</packagereq></packagelist></group></comps>
`
const modules = `---
document: modulemd
version: 2
data: {name: app, stream: "1.10", version: 1, context: c0ffee, arch: x86_64, summary: s, description: d, license: {module: [MIT]},
  dependencies: [{requires: {platform: [el9]}}], profiles: {default: {rpms: [app]}},
  artifacts: {rpms: ["app-0:1.0-1.el9.noarch", "lib-0:1.0-1.el9.noarch"]}}
...
`

const layouts: [string, Layout][] = [
  ['without lists of files', { layout: built => ({ packages: plain(built), lists: ['primary'] }) }],
  [
    'with a list of files that lacks the packages',
    {
      layout: built => ({
        packages: plain(built),
        change: { filelists: text => text.replaceAll(/pkgid="[0-9a-f]{8}/g, 'pkgid="00000000') },
      }),
    },
  ],
  [
    'with a package on another server (xml:base)',
    {
      layout: ({ app, lib }, url) => ({
        packages: {
          'Packages/app.rpm': { from: app },
          'elsewhere/pool/lib.rpm': { from: lib, base: `${url}/r/elsewhere/`, href: 'pool/lib.rpm' },
        },
      }),
    },
  ],
  [
    'with complete URLs',
    {
      layout: ({ app, lib }, url) => ({
        packages: {
          'a/app.rpm': { from: app, href: `${url}/r/a/app.rpm` },
          'b/lib.rpm': { from: lib, href: `${url}/r/b/../b/lib.rpm` },
        },
      }),
    },
  ],
  [
    'with packages beside the repository (../)',
    {
      layout: ({ app, lib }) => ({
        packages: {
          '../pool/app.rpm': { from: app, href: '../pool/app.rpm' },
          'repodata/lib.rpm': { from: lib },
        },
      }),
    },
  ],
  [
    'with names that need escapes',
    {
      layout: ({ app, lib }) => ({
        packages: {
          'Pack ages/a%20p+p#1.rpm': { from: app },
          'vi\u00eat/[l]i^b~&;\'"?x=1.rpm': { from: lib },
        },
      }),
    },
  ],
  [
    'with dots and slashes that mean nothing',
    {
      layout: ({ app, lib }) => ({
        packages: {
          'Packages/app.rpm': { from: app, href: './Packages//app.rpm' },
          'lib.rpm': { from: lib, href: '/lib.rpm' },
        },
      }),
    },
  ],
  [
    'with a package twice, and another one of the same version',
    {
      layout: ({ app, lib, again }) => ({
        packages: {
          'a/app.rpm': { from: app },
          'b/app.rpm': { from: app },
          'a/lib.rpm': { from: lib },
          'b/lib.rpm': { from: again },
        },
      }),
    },
  ],
  ['with SHA-512', { layout: built => ({ packages: plain(built), checksum: 'sha512' }) }],
  ...(['xz', 'zst', 'bz2', ''] as const).map((packing): [string, Layout] => [
    `with lists that are ${packing === '' ? 'not packed' : `packed as ${packing}`}, and a group`,
    {
      layout: built => ({ packages: plain(built), packing, extra: { group: comps } }),
      request: { packages: ['@tools'] },
      install: ['@tools'],
    },
  ]),
  [
    'with group_gz only',
    {
      layout: built => ({ packages: plain(built), extra: { group_gz: comps } }),
      request: { packages: ['@tools'] },
      install: ['@tools'],
    },
  ],
  [
    'with lists on another server',
    {
      layout: (built, url) => ({
        packages: plain(built),
        listBase: { url: `${url}/r/meta`, folder: 'meta' },
      }),
    },
  ],
  [
    'with modules',
    {
      layout: built => ({ packages: plain(built), extra: { modules } }),
      request: { modules: ['app:1.10'], packages: ['app'] },
      install: ['@app:1.10/default'],
    },
  ],
  [
    'with sizes and ranges of headers missing',
    {
      layout: built => ({
        packages: plain(built),
        change: { primary: text => text.replaceAll(/<size [^>]*>|<rpm:header-range [^>]*>/g, '') },
      }),
    },
  ],
  [
    'signed by a subkey, list and packages',
    { layout: built => ({ packages: plain(built) }), signedBy: 'subkey' },
  ],
  [
    'whose list nobody signed',
    {
      layout: built => ({ packages: plain(built) }),
      signedBy: 'nobody',
      repository: { metadata: 'unsigned' },
    },
  ],
  ['behind a mirrorlist', { layout: built => ({ packages: plain(built) }), list: 'mirrorlist' }],
  ['behind a metalink', { layout: built => ({ packages: plain(built) }), list: 'metalink' }],
  [
    'with packages that only their list vouches for',
    {
      layout: built => ({ packages: plain(built) }),
      unsigned: true,
      repository: { packages: 'unsigned' },
      section: ['gpgcheck=0', 'repo_gpgcheck=1'],
    },
  ],
]

describe.skipIf(lackingForRpm.length > 0)(
  `every layout that locks is installed from the site by stock dnf (needs ${lackingForRpm.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let folder: string
    let gpg: Gpg
    let siteKey: SiteKey
    let signed: Built
    let unsigned: Built
    let bySubkey: Built
    /** `0123…!`, as gpg takes it */
    let subkey: string

    beforeAll(async () => {
      folder = resources.use(await tempFolder()).path
      gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
      await gpg.makeKey('publisher', { algorithm: 'rsa3072' })
      await gpg.exportTo(join(folder, 'publisher.asc'), 'publisher')
      siteKey = await openSiteKey({ folder: join(folder, 'state'), now: () => new Date() })
      const packages = [{ name: 'app', requires: ['lib'] }, { name: 'lib' }]
      const built = async (name: string, user: { user?: string }): Promise<Built> => {
        const [first, second] = [join(folder, name), join(folder, `${name}-again`)]
        await makeRpms(first, { gpgHome: gpg.home, packages, ...user })
        await makeRpms(second, { gpgHome: gpg.home, packages: [{ name: 'lib', content: 'again' }], ...user })
        return {
          app: await rpmOf(first, 'app'),
          lib: await rpmOf(first, 'lib'),
          again: await rpmOf(second, 'lib'),
        }
      }
      signed = await built('signed', { user: 'publisher' })
      unsigned = await built('unsigned', {})
      await gpg.run('--quick-add-key', await gpg.fingerprint('publisher'), 'rsa3072', 'sign', 'never')
      const listed = await gpg.run('--with-colons', '--list-keys', 'publisher@example.org')
      subkey = `${[...listed.matchAll(/^fpr:+([0-9A-F]{40}):/gm)].at(-1)![1]}!`
      await gpg.exportTo(join(folder, 'publisher.asc'), 'publisher')
      bySubkey = await built('by-subkey', { user: subkey })
    }, 60_000)
    afterAll(() => resources.disposeAsync())

    it.each(layouts)(
      '%s',
      async (name, one) => {
        const place = join(folder, name.replaceAll(/[^a-zA-Z0-9]+/g, '-'))
        const install = ['install', ...(one.install ?? ['app'])]
        await mkdir(join(place, 'upstream'), { recursive: true })
        let site: ServedSite
        {
          await using upstream = await serveFolder(join(place, 'upstream'))
          const layout = one.layout(
            one.unsigned ? unsigned : one.signedBy === 'subkey' ? bySubkey : signed,
            upstream.url,
          )
          const user = one.signedBy === 'subkey' ? subkey : 'publisher@example.org'
          await publishYum(
            join(place, 'upstream/r'),
            layout,
            one.signedBy === 'nobody' ? { gpg } : { gpg, user },
          )
          const { list } = one
          if (list !== undefined) upstream.overrides.set('/list', await listOf(list, place, upstream.url))
          const address = list === undefined ? `baseurl=${upstream.url}/r` : `${list}=${upstream.url}/list`
          const reference = await dnfSandbox(
            join(place, 'reference'),
            `[r]\nname=r\n${address}\ngpgkey=file://${folder}/publisher.asc\ngpgcheck=${one.unsigned ? 0 : 1}\nrepo_gpgcheck=${one.signedBy === 'nobody' ? 0 : 1}\n`,
          )
          const direct = await reference.dnf(...install)
          expect(direct.status, direct.stdout + direct.stderr).toBe(0)
          const locked = await lock(place, { url: upstream.url, one })
          site = await serveSite([await bundleOf(locked)], siteKey)
        }
        // upstream is closed: nothing but the site answers
        await using _ = site
        const repos = await clientFiles(place, site)
        for (const line of one.section ?? ['gpgcheck=1', 'repo_gpgcheck=1'])
          expect(repos).toContain(`\n${line}\n`)
        const { dnf, root } = await dnfSandbox(join(place, 'client'), repos)
        const { status, stdout, stderr } = await dnf(...install)
        expect(status, stdout + stderr).toBe(0)
        const list = await run('rpm', ['--root', root, '-qa', '--qf', '%{NAME}\n'])
        expect(
          list.stdout
            .split('\n')
            .filter(line => line !== '' && !line.startsWith('gpg-pubkey'))
            .sort(),
        ).toEqual(['app', 'lib'])
      },
      60_000,
    )

    async function lock(place: string, { url, one }: { url: string; one: Layout }): Promise<LockedRpms> {
      const keys = [join(folder, 'publisher.asc')]
      const request: RpmRequest = {
        at: 'stack.yaml:5:5',
        name: 'el9',
        platform: 'platform:el9',
        repositories: [
          {
            id: 'r',
            ...(one.list === undefined
              ? { baseurl: `${url}/r` }
              : { [one.list]: `${url}/list`, variables: { basearch: 'x86_64' } }),
            keys,
            keysAsWritten: keys,
            metadata: 'signed',
            packages: 'signed',
            priority: 99,
            excludepkgs: [],
            moduleHotfixes: false,
            ...one.repository,
          },
        ],
        architectures: ['x86_64'],
        modules: [],
        packages: ['app'],
        kernelPackages: [],
        weak: false,
        base: { type: 'none' },
        ...one.request,
      }
      const cache = join(place, 'lock')
      await mkdir(cache)
      return await withContext({ folder: cache }, context => rpmKind.resolve(request, context))
    }

    /** What the build fetches, from where the lock says. */
    async function bundleOf(locked: LockedRpms) {
      const artifacts = rpmKind.assemble([rpmKind.schema.parse(locked)])
      const content = await contentOf(artifacts)
      for (const { descriptor, sources } of artifacts.flatMap(artifact => artifact.blobs)) {
        const answer = await fetch(await urlOf(sources[0]))
        expect(answer.status, JSON.stringify(sources)).toBe(200)
        const bytes = Buffer.from(await answer.arrayBuffer())
        await (content as unknown as MemoryStore).push(descriptor, Readable.from([bytes]))
      }
      return content
    }

    async function urlOf(source: Source | undefined): Promise<string> {
      if (source?.type === 'url') return source.url
      if (source?.type !== 'mirrors') throw new Error('a package has no address')
      const http = createHttpClient()
      try {
        const { bases } = await fetchMirrorList({ url: source.list, variables: source.variables }, http)
        return `${bases.at(-1)}/${source.path}`
      } finally {
        await http.close()
      }
    }

    /** A mirrorlist whose first mirror has nothing; a metalink whose first mirror has an older state. */
    async function listOf(form: 'mirrorlist' | 'metalink', place: string, url: string): Promise<string> {
      const repomd = await readFile(join(place, 'upstream/r/repodata/repomd.xml'), 'utf8')
      if (form === 'mirrorlist') return `# mirrors\n${url}/none\n${url}/r\n`
      const old = join(place, 'upstream/old/repodata')
      await mkdir(old, { recursive: true })
      await writeFile(join(old, 'repomd.xml'), repomd.replace('<revision>1', '<revision>0'))
      const hash = createHash('sha256').update(repomd).digest('hex')
      const urls = ['r', 'none', 'old'].map(
        (name, i) =>
          `<url protocol="http" type="http" location="DE" preference="${80 + 10 * i}">${url}/${name}/repodata/repomd.xml</url>`,
      )
      return `<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files><file name="repomd.xml"><mm0:timestamp>1</mm0:timestamp><size>${repomd.length}</size>
  <verification><hash type="sha256">${hash}</hash></verification>
  <resources maxconnections="1">${urls.join('')}</resources></file></files>
</metalink>`
    }

    /** The repository file of the site, with the keys where this machine has them. */
    async function clientFiles(place: string, site: ServedSite): Promise<string> {
      const keys = join(place, 'keys')
      await mkdir(keys)
      let repos = ''
      for (const { kind, path, text } of site.clients) {
        if (kind === 'yum-repo') repos += text
        else if (kind === 'site-key' || kind === 'publisher-key')
          await writeFile(join(keys, basename(path)), text)
      }
      expect(await readFile(join(keys, 'RPM-GPG-KEY-airgap-site'), 'utf8')).toContain('PUBLIC KEY')
      return repos.replaceAll('file:///etc/pki/rpm-gpg/', `file://${keys}/`)
    }
  },
)
