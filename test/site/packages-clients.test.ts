import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inlineFile, type TreeFile, treeArtifacts } from '../../src/content/tree.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { openSiteKey, type SiteKey } from '../../src/site/site-key.ts'
import { Gpg } from '../kinds/deb/support/archive.ts'
import { missing, must, run } from '../kinds/deb/support/programs.ts'
import { dnfSandbox, lackingForRpm, makeRpms } from './support/rpm.ts'
import { contentOf } from './support/sample-site.ts'
import { type ServedSite, serveSite } from './support/served-site.ts'

/** What stock dnf and pip make of the site's repositories, out of one bundle and out of two. */

let folder: string
let key: SiteKey
const sites: ServedSite[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-clients-'))
  key = await openSiteKey({ folder: join(folder, 'state'), now: () => new Date() })
})
afterAll(async () => {
  await Promise.all(sites.map(site => site[Symbol.asyncDispose]()))
  await rm(folder, { recursive: true, force: true })
})

async function serve(bundles: { name: string; kind: string; files: TreeFile[] }[][]): Promise<ServedSite> {
  const contents = await Promise.all(
    bundles.map(trees => contentOf(trees.flatMap(tree => treeArtifacts(tree)))),
  )
  const site = await serveSite(contents, key)
  sites.push(site)
  return site
}

describe.skipIf(lackingForRpm.length > 0)(`dnf (needs ${lackingForRpm.join(', ') || 'nothing more'})`, () => {
  const resources = new AsyncDisposableStack()
  let site: ServedSite
  let bundles: { name: string; kind: string; files: TreeFile[] }[][]

  beforeAll(async () => {
    const gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
    await gpg.makeKey('publisher', { algorithm: 'rsa3072' })
    const publisher = await gpg.exportTo(join(folder, 'publisher.asc'), 'publisher')
    const tree = async (name: string, packages: Parameters<typeof makeRpms>[1]['packages']) => {
      const place = join(folder, name)
      const { primary, filelists } = await makeRpms(place, { gpgHome: gpg.home, user: 'publisher', packages })
      const rpms = await readdir(join(place, 'Packages'))
      const files = await Promise.all(
        rpms.map(async file =>
          inlineFile(`baseos/Packages/${file}`, await readFile(join(place, 'Packages', file))),
        ),
      )
      files.push(inlineFile('baseos/repodata/primary.xml', Buffer.from(primary)))
      files.push(inlineFile('baseos/repodata/filelists.xml', Buffer.from(filelists)))
      files.push(inlineFile('baseos/keys/1.asc', await readFile(publisher)))
      files.push(inlineFile('baseos/repository.json', Buffer.from('{"priority":50}')))
      return [{ name: 'rpms/el9', kind: 'rpm', files }]
    }
    bundles = [
      await tree('one', [{ name: 'app', requires: ['lib >= 1.0'] }]),
      await tree('two', [{ name: 'lib', version: '1.2' }, { name: 'other' }]),
    ]
    site = await serve(bundles)
  }, 60_000)
  afterAll(() => resources.disposeAsync())

  /** The repository file of the site, with the keys where this machine has them. */
  async function machine(name: string, options: { siteKey?: string; settings?: string[] } = {}) {
    const place = join(folder, name)
    await mkdir(join(place, 'keys'), { recursive: true })
    let repos = ''
    for (const { kind, path, text } of site.clients) {
      if (kind === 'yum-repo') repos += text
      const key =
        kind === 'site-key' ? (options.siteKey ?? text) : kind === 'publisher-key' ? text : undefined
      if (key !== undefined) await writeFile(join(place, 'keys', basename(path)), key)
    }
    return await dnfSandbox(
      place,
      repos.replaceAll('file:///etc/pki/rpm-gpg/', `file://${place}/keys/`),
      options.settings,
    )
  }

  it('installs out of two bundles as one repository, every signature checked', async () => {
    const { dnf, root } = await machine('good')
    const { status, stdout, stderr } = await dnf('install', 'app')
    expect(status, stdout + stderr).toBe(0)
    expect(await readFile(join(root, 'opt/lib/file'), 'utf8')).toBe('lib\n')
    const list = await run('rpm', ['--root', root, '-qa', '--qf', '%{NAME}\n'])
    expect(
      list.stdout
        .split('\n')
        .filter(name => !name.startsWith('gpg-pubkey'))
        .sort()
        .join(' ')
        .trim(),
    ).toBe('app lib')
  })

  it('reaches the site without the proxy of the machine', async () => {
    const { dnf } = await machine('proxy', { settings: ['proxy=http://127.0.0.1:9'] })
    const { status, stdout, stderr } = await dnf('install', 'app')
    expect(status, stdout + stderr).toBe(0)
  })

  it('gets gpgcheck=1, repo_gpgcheck=1 and the publisher’s priority', () => {
    const text = site.clients.find(({ kind }) => kind === 'yum-repo')!.text
    expect(text).toContain('gpgcheck=1\nrepo_gpgcheck=1\n')
    expect(text).toContain('priority=50')
    expect(text).not.toMatch(/gpgcheck=0|sslverify/)
  })

  it('refuses a list that is signed with another key', async () => {
    const other = await openSiteKey({ folder: join(folder, 'other-state'), now: () => new Date() })
    const { dnf } = await machine('wrong-key', { siteKey: other.publicKeyArmored })
    const { status, stdout, stderr } = await dnf('install', 'other')
    expect(status).not.toBe(0)
    expect(stdout + stderr).toMatch(/GPG|signature/i)
  })

  it('refuses a list or a package that was changed on the way', async () => {
    const mount = site.mounts.find(({ prefix }) => prefix === '/rpms/el9')!
    const { dnf } = await machine('tampered')
    const documents = mount.generated as Map<
      string,
      { bytes: Uint8Array; mediaType: string; lastModified: Date }
    >
    const path = 'baseos/repodata/primary.xml'
    const good = documents.get(path)!
    documents.set(path, {
      ...good,
      bytes: Buffer.from(Buffer.from(good.bytes).toString().replace('>other<', '>0ther<')),
    })
    try {
      const { status, stdout, stderr } = await dnf('install', 'other')
      expect(status).not.toBe(0)
      expect(stdout + stderr).toMatch(/checksum/i)
    } finally {
      documents.set(path, good)
    }
  })

  it('fault 39: refuses two bundles with different packages of one name and version', async () => {
    const changed = bundles[1]!.map(tree => ({
      ...tree,
      files: tree.files.map(file => {
        if (file.path !== 'baseos/repodata/primary.xml' || !('bytes' in file.origin)) return file
        const text = Buffer.from(file.origin.bytes).toString()
        return inlineFile(file.path, Buffer.from(text.replace(/(pkgid="YES">)[0-9a-f]{8}/, '$1deadbeef')))
      }),
    }))
    await expect(serve([bundles[1]!, changed])).rejects.toMatchObject({ code: 'NAME_COLLISION' })
  })
})

const lackingForPip = missing('python3', 'pip')

describe.skipIf(lackingForPip.length > 0)(`pip (needs ${lackingForPip.join(', ') || 'nothing more'})`, () => {
  let site: ServedSite

  /** A wheel, made by hand: PEP 427. */
  async function wheel(
    project: string,
    requires: string[] = [],
  ): Promise<{ name: string; bytes: Buffer; metadata: string }> {
    const name = `${project}-1.0-py3-none-any.whl`
    const place = join(folder, 'wheels', project)
    const info = join(place, `${project}-1.0.dist-info`)
    await mkdir(info, { recursive: true })
    const metadata = [
      'Metadata-Version: 2.1',
      `Name: ${project}`,
      'Version: 1.0',
      ...requires.map(text => `Requires-Dist: ${text}`),
      '',
    ].join('\n')
    await writeFile(join(place, `${project}.py`), `name = '${project}'\n`)
    await writeFile(join(info, 'METADATA'), metadata)
    await writeFile(
      join(info, 'WHEEL'),
      'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    )
    await writeFile(join(info, 'RECORD'), '')
    await must(
      'python3',
      ['-m', 'zipfile', '-c', join(folder, name), `${project}.py`, `${project}-1.0.dist-info`],
      { cwd: place },
    )
    return { name, bytes: await readFile(join(folder, name)), metadata }
  }

  async function tree(project: string, requires: string[] = []) {
    const { name, bytes, metadata } = await wheel(project, requires)
    const file = {
      project,
      version: '1.0',
      filename: name,
      sha256: hexOf(digestOf(bytes)),
      size: bytes.length,
      requiresPython: '>=3.6',
      metadataSha256: hexOf(digestOf(Buffer.from(metadata))),
    }
    const files = [
      inlineFile(`${project}/${name}`, bytes),
      inlineFile(`${project}/${name}.metadata`, Buffer.from(metadata)),
      inlineFile('index.json', Buffer.from(`${canonicalJson({ files: [file] })}\n`)),
    ]
    return [{ name: 'pypi', kind: 'wheel', files }]
  }

  beforeAll(async () => {
    site = await serve([await tree('apple', ['pear>=1.0']), await tree('pear')])
  }, 60_000)

  it('installs out of two bundles with nothing but the pip.conf of the site', async () => {
    const place = join(folder, 'venv')
    await must('python3', ['-m', 'venv', place])
    await writeFile(join(folder, 'pip.conf'), site.clients.find(({ kind }) => kind === 'pip-conf')!.text)
    const env = {
      PIP_CONFIG_FILE: join(folder, 'pip.conf'),
      PIP_DISABLE_PIP_VERSION_CHECK: '1',
      PIP_NO_CACHE_DIR: '1',
    }
    const { status, stdout, stderr } = await run(join(place, 'bin/pip'), ['install', 'apple'], { env })
    expect(status, stdout + stderr).toBe(0)
    expect(stdout).toContain('Successfully installed apple-1.0 pear-1.0')
    expect(stdout).toContain(`${site.url}/pypi/simple`)
  }, 60_000)

  it('gets the index in the form that the client prefers', async () => {
    const get = async (accept: string | undefined, path = '/pypi/simple/apple/') => {
      const response = await fetch(`${site.url}${path}`, {
        redirect: 'manual',
        headers: accept === undefined ? {} : { accept },
      })
      return {
        type: response.headers.get('content-type'),
        vary: response.headers.get('vary'),
        status: response.status,
        text: await response.text(),
      }
    }
    const pip =
      'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01'
    const json = await get(pip)
    expect([json.type, json.vary]).toEqual(['application/vnd.pypi.simple.v1+json', 'accept'])
    expect(JSON.parse(json.text)).toMatchObject({
      name: 'apple',
      versions: ['1.0'],
      files: [{ 'requires-python': '>=3.6' }],
    })
    // pip 22.3 to 23.0 crashes on it in JSON (PEP 714)
    expect(json.text).not.toContain('dist-info-metadata')
    expect((await get('text/html')).type).toBe('text/html; charset=utf-8')
    expect((await get(undefined)).text).toContain('data-requires-python="&gt;=3.6"')
    expect((await get('application/vnd.pypi.simple.v1+html')).type).toContain('v1+html')
    expect((await get('image/png')).type).toBe('text/html; charset=utf-8')
    expect((await get(pip, '/pypi/simple/apple')).status).toBe(301)
    expect(JSON.parse((await get(pip, '/pypi/simple/')).text).projects).toEqual([
      { name: 'apple' },
      { name: 'pear' },
    ])
  })
})
