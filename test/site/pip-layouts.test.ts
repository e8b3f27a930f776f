import { createHash } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MemoryStore } from '../../src/content/memory-store.ts'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { wheelKind } from '../../src/kinds/wheel/index.ts'
import type { IndexSource } from '../../src/kinds/wheel/index-sources.ts'
import type { LockedWheels } from '../../src/kinds/wheel/locked.ts'
import { openSiteKey, type SiteKey } from '../../src/site/site-key.ts'
import { missing, must, run, tempFolder } from '../kinds/deb/support/programs.ts'
import { serve, testContext } from '../kinds/support/context.ts'
import {
  metadataOf,
  type Release,
  type ServedFile,
  startIndex,
  wheelFile,
  wheelRequest,
} from '../kinds/wheel/support/package-index.ts'
import { sourceDistribution } from '../kinds/wheel/support/source-distribution.ts'
import { zipOf } from '../kinds/wheel/support/zip.ts'
import type { Handler } from '../remote/support/upstream.ts'
import { contentOf } from './support/sample-site.ts'
import { serveSite } from './support/served-site.ts'

const lacking = missing('python3', 'pip')
const lackingUv = missing('uv')

/** An upstream, what is requested of it, and what a machine of the site has afterwards. */
interface Layout {
  publish(): Promise<{ indexes: IndexSource[]; packages: string[] }>
  /** what the site's pip is asked for; default: `app` */
  installs?: string[]
  installed: string[]
  sdists?: string[]
}

const release = (name: string, version: string, more: Partial<Release> = {}) =>
  wheelFile({ name, version, ...more })
const app = release('app', '1.0', { requires: ['lib>=1'] })
const lib = release('lib', '1.2')
const sha256 = ({ bytes }: ServedFile) => hexOf(digestOf(bytes))
const page =
  (text: string, headers: Record<string, string> = { 'content-type': 'text/html' }): Handler =>
  (_, response) =>
    response.writeHead(200, headers).end(text)

/** An index whose page of each project is made by `pageOf`; the files lie below /f/. */
async function pages(files: ServedFile[], pageOf: (own: ServedFile[]) => Handler): Promise<IndexSource[]> {
  const paths: Record<string, Buffer | Handler> = {}
  for (const { filename, bytes } of files) paths[`/f/${encodeURIComponent(filename)}`] = bytes
  for (const project of new Set(files.map(file => file.project)))
    paths[`/simple/${project}/`] = pageOf(files.filter(file => file.project === project))
  return [{ url: `${(await serve(paths)).origin}/simple/` }]
}
const link = (file: ServedFile, attributes = '') =>
  `<a href="/f/${encodeURIComponent(file.filename)}#sha256=${sha256(file)}"${attributes}>${file.filename}</a>\n`

/** A build backend of its own: `build_wheel` packs one module, as long as what the backend requires is there. */
const backend = (() => {
  const code = `
import helper, os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = 'src-1.0-py3-none-any.whl'
    with zipfile.ZipFile(os.path.join(folder, name), 'w') as wheel:
        wheel.writestr('src.py', '')
        wheel.writestr('src-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: src\\nVersion: 1.0\\nRequires-Dist: lib\\n')
        wheel.writestr('src-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
        wheel.writestr('src-1.0.dist-info/RECORD', '')
    return name
`
  const release = { name: 'tiny-backend', version: '3.0', requires: ['helper'] }
  const info = 'tiny_backend-3.0.dist-info'
  const bytes = zipOf([
    ['tiny_backend.py', code],
    [`${info}/METADATA`, metadataOf(release)],
    [`${info}/WHEEL`, 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n'],
    [`${info}/RECORD`, ''],
  ])
  return { filename: 'tiny_backend-3.0-py3-none-any.whl', bytes, project: 'tiny-backend', release }
})()

const layouts: [string, Layout][] = [
  ...(['html', 'json'] as const).map((format): [string, Layout] => [
    `pages in ${format}, with metadata apart`,
    {
      publish: async () => ({
        indexes: [{ url: `${(await startIndex([app, lib], { format })).origin}/simple/` }],
        packages: ['app'],
      }),
      installed: ['app-1.0', 'lib-1.2'],
    },
  ]),
  [
    'listings of folders with shortened names, without hashes',
    {
      publish: async () => ({
        indexes: await pages([app, lib], own =>
          page(
            `<html><h1>Index of /</h1><pre><a href="../">../</a>\n${own.map(({ filename }) => `<a href="/f/${filename}">${filename.slice(0, 9)}..&gt;</a> 26-Nov-2026 10:00 1234`).join('\n')}</pre>`,
          ),
        ),
        packages: ['app'],
      }),
      installed: ['app-1.0', 'lib-1.2'],
    },
  ],
  [
    'links relative to a base, of which older ones are commented out',
    {
      publish: async () => ({
        indexes: await pages([app, lib], own =>
          page(
            `<head><base href="/f/"></head><!-- <a href="app-9-py3-none-any.whl">x</a> -->${own.map(file => `<a href="${file.filename}#sha256=${sha256(file)}"></a>`).join('')}`,
          ),
        ),
        packages: ['app'],
      }),
      installed: ['app-1.0', 'lib-1.2'],
    },
  ],
  [
    'an index that redirects to the pages, which lists metadata that it does not have',
    {
      publish: async () => {
        const missing = ` data-core-metadata="sha256=${'0'.repeat(64)}"`
        const [target] = await pages([app, lib], own => page(own.map(file => link(file, missing)).join('')))
        const to =
          (project: string): Handler =>
          (_, response) =>
            response.writeHead(302, { location: `${target!.url}${project}/` }).end()
        const front = await serve({ '/x/app/': to('app'), '/x/lib/': to('lib') })
        return { indexes: [{ url: `${front.origin}/x` }], packages: ['app'] }
      },
      installed: ['app-1.0', 'lib-1.2'],
    },
  ],
  [
    'JSON without a media type, with null for whatever may be null, and sha512 only',
    {
      publish: async () => ({
        indexes: await pages([app, lib], own =>
          page(
            JSON.stringify({
              files: own.map(({ filename, bytes }) => ({
                filename,
                url: `/f/${filename}`,
                hashes: { sha512: createHash('sha512').update(bytes).digest('hex') },
                'requires-python': null,
                yanked: null,
                size: null,
                'core-metadata': null,
              })),
            }),
            {},
          ),
        ),
        packages: ['app'],
      }),
      installed: ['app-1.0', 'lib-1.2'],
    },
  ],
  [
    'an index of local versions that refuses all else, before a general one',
    {
      publish: async () => {
        const torch = release('torch', '2.1.0+cu118', { requires: ['lib'] })
        const [special] = await pages([torch], own => page(own.map(file => link(file)).join('')))
        const front = await serve({
          '/cu118/torch/': (_, response) =>
            response.writeHead(301, { location: `${special!.url}torch/` }).end(),
          '/cu118/lib/': (_, response) => response.writeHead(403).end(),
        })
        const [general] = await pages([lib, release('torch', '2.1.0')], own =>
          page(own.map(file => link(file)).join('')),
        )
        return { indexes: [{ url: `${front.origin}/cu118` }, general!], packages: ['torch==2.1.0'] }
      },
      installs: ['torch==2.1.0'],
      installed: ['lib-1.2', 'torch-2.1.0+cu118'],
    },
  ],
  [
    'a page that is silent about Pythons, the newest version for others',
    {
      publish: async () => ({
        indexes: await pages([app, lib, release('lib', '2.0', { requiresPython: '>=3.99' })], own =>
          page(own.map(file => link(file)).join('')),
        ),
        packages: ['app'],
      }),
      installed: ['app-1.0', 'lib-1.2'],
    },
  ],
  [
    'a withdrawn version that is pinned, of a name in another spelling, with a build number',
    {
      publish: async () => {
        const yanked = { ...release('My.App', '1.0'), filename: 'My_App-1.0-2b-py3-none-any.whl' }
        return {
          indexes: await pages([yanked], own =>
            page(own.map(file => link(file, ' data-yanked="bad"')).join('')),
          ),
          packages: ['my_app==1'],
        }
      },
      installs: ['MY-APP==1.0'],
      installed: ['My_App-1.0'],
    },
  ],
  [
    'files that are named by their URLs',
    {
      publish: async () => {
        const fork = release('app', '3.0+site.1', { requires: ['lib>=1'] })
        const indexes = await pages([app, lib], own => page(own.map(file => link(file)).join('')))
        const files = await serve({ [`/dl/${encodeURIComponent(fork.filename)}`]: fork.bytes })
        const url = `${files.origin}/dl/${encodeURIComponent(fork.filename)}#sha256=${sha256(fork)}`
        return { indexes, packages: [`app @ ${url}`] }
      },
      installed: ['app-3.0+site.1', 'lib-1.2'],
    },
  ],
  [
    'a source distribution with the build backend that it names',
    {
      publish: async () => {
        const source = sourceDistribution(
          { name: 'src', version: '1.0', requires: ['lib'] },
          '[build-system]\nrequires = ["tiny_backend>=3"]\nbuild-backend = "tiny_backend"\n',
        )
        return {
          indexes: await pages([source, backend, lib, release('helper', '1')], own =>
            page(own.map(file => link(file)).join('')),
          ),
          packages: ['src'],
        }
      },
      sdists: ['src'],
      installs: ['src'],
      installed: ['lib-1.2', 'src-1.0'],
    },
  ],
]

describe.skipIf(lacking.length > 0)(
  `every layout of an index that locks is installed from the site by stock pip (needs ${lacking.join(', ') || 'nothing more'}) and uv (${lackingUv.length > 0 ? 'skipped: it is missing' : 'present'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let folder: string
    let key: SiteKey
    let python: string
    beforeAll(async () => {
      folder = resources.use(await tempFolder()).path
      key = await openSiteKey({ folder: join(folder, 'state'), now: () => new Date() })
      const version = 'import sys; print("%d.%d" % sys.version_info[:2])'
      python = (await must('python3', ['-c', version])).trim()
    })
    afterAll(() => resources.disposeAsync())

    it.each(layouts)(
      '%s',
      async (name, layout) => {
        const { indexes, packages } = await layout.publish()
        const request = wheelRequest('http://unused.invalid', {
          packages,
          indexes,
          pythons: [python],
          sdists: layout.sdists ?? [],
        })
        const locked = wheelKind.schema.parse(await wheelKind.resolve(request, await testContext()))
        await using site = await serveSite([await bundleOf(locked)], key)
        const place = join(folder, name.replaceAll(/[^a-z]+/g, '-'))
        const conf = `${place}.conf`
        await writeFile(conf, site.clients.find(({ kind }) => kind === 'pip-conf')!.text)
        const env = {
          ...closedNetwork,
          PIP_CONFIG_FILE: conf,
          PIP_DISABLE_PIP_VERSION_CHECK: '1',
          PIP_NO_CACHE_DIR: '1',
          UV_NO_CACHE: '1',
        }
        const installs = layout.installs ?? ['app']
        const pip = await run('pip', ['install', '--target', place, ...installs], { env })
        expect(pip.status, pip.stdout + pip.stderr).toBe(0)
        expect(await installed(place)).toEqual(layout.installed)
        if (lackingUv.length > 0) return
        const uv = await run(
          'uv',
          [
            'pip',
            'install',
            '--no-config',
            '--python',
            'python3',
            '--index-url',
            `${site.url}/pypi/simple/`,
            '--target',
            `${place}-uv`,
            ...installs,
          ],
          { env },
        )
        expect(uv.status, uv.stdout + uv.stderr).toBe(0)
        expect(await installed(`${place}-uv`)).toEqual(layout.installed)
      },
      60_000,
    )
  },
)

/** A proxy where nobody listens: only the site can be reached. */
const closedNetwork = {
  http_proxy: 'http://127.0.0.1:9',
  https_proxy: 'http://127.0.0.1:9',
  no_proxy: '127.0.0.1',
}

async function installed(place: string): Promise<string[]> {
  const names = await readdir(place)
  return names.flatMap(name => /^(.*)\.dist-info$/.exec(name)?.[1] ?? []).sort()
}

/** What the build fetches, from where the lock says. */
async function bundleOf(locked: LockedWheels) {
  const artifacts = wheelKind.assemble([locked])
  const content = await contentOf(artifacts)
  for (const { descriptor, sources } of artifacts.flatMap(artifact => artifact.blobs)) {
    const [source] = sources
    if (source?.type !== 'url') throw new Error('a distribution has no URL')
    const bytes = Buffer.from(await (await fetch(source.url)).arrayBuffer())
    await (content as unknown as MemoryStore).push(descriptor, Readable.from([bytes]))
  }
  return content
}
