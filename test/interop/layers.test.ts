import { execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hasTool } from '../bundle/has-tool.ts'
import { tempFolder } from '../bundle/samples.ts'
import { contentOf } from '../layers/support.ts'

/** The packages of an image are those that the package managers themselves list in the same root. */

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
  })
}

const lines = (text: string) => text.trim().split('\n').sort()

/** A layer with all of a folder, as tar writes it. */
async function layerOf(folder: string): Promise<Buffer> {
  return execFileSync('tar', ['-C', folder, '-cf', '-', '.'], { maxBuffer: 1 << 28 })
}

const debTools = ['dpkg', 'dpkg-deb', 'dpkg-query', 'tar']

describe.skipIf(!debTools.every(hasTool))(`dpkg (needs ${debTools.join(', ')})`, () => {
  async function makeDeb(
    folder: string,
    { conffile, ...fields }: Record<string, string> & { conffile?: string },
  ): Promise<string> {
    const place = join(folder, fields['Package']!)
    await mkdir(join(place, 'DEBIAN'), { recursive: true })
    const all = { Architecture: 'amd64', Maintainer: 'T <t@x.example>', Description: 'test', ...fields }
    const text = Object.entries(all).map(([key, value]) => `${key}: ${value}\n`)
    await writeFile(join(place, 'DEBIAN/control'), text.join(''))
    if (conffile !== undefined) {
      await mkdir(join(place, 'etc'))
      await writeFile(join(place, 'etc/x.conf'), conffile)
      await writeFile(join(place, 'DEBIAN/conffiles'), '/etc/x.conf\n')
    }
    run('dpkg-deb', '--build', '--root-owner-group', place, `${place}.deb`)
    return `${place}.deb`
  }

  it('lists the same, after a removal in a later layer, too', async () => {
    const folder = await tempFolder()
    const root = join(folder, 'root')
    await mkdir(join(root, 'var/lib/dpkg/updates'), { recursive: true })
    await mkdir(join(root, 'var/lib/dpkg/info'))
    await writeFile(join(root, 'var/lib/dpkg/status'), '')
    const dpkg = (...args: string[]) =>
      run(
        'dpkg',
        '--force-not-root',
        '--force-script-chrootless',
        `--root=${root}`,
        '--log=/dev/null',
        ...args,
      )
    const debs = [
      await makeDeb(folder, { Package: 'one', Version: '1:1.0-1', Source: 'src (1.0-1)' }),
      await makeDeb(folder, { Package: 'two', Version: '2.0~rc1+b1', 'Multi-Arch': 'same' }),
      await makeDeb(folder, { Package: 'three', Version: '3', conffile: 'yes', Architecture: 'all' }),
    ]
    dpkg('--force-architecture', '-i', ...debs)
    const list = () =>
      lines(
        run(
          'dpkg-query',
          `--admindir=${root}/var/lib/dpkg`,
          '-f',
          '${db:Status-Status} ${Package} ${Version} ${Architecture}\n',
          '-W',
        ),
      )
        .filter(line => line.startsWith('installed '))
        .map(line => line.slice('installed '.length))
    const ours = async (...layers: Buffer[]) =>
      (await contentOf(...layers)).packages
        .map(one => `${one.name} ${one.version} ${one.architecture}`)
        .sort()
    const lower = await layerOf(root)
    expect(list()).toHaveLength(3)
    expect(await ours(lower)).toEqual(list())
    dpkg('--remove', 'three')
    dpkg('--purge', 'two')
    expect(list()).toEqual(['one 1:1.0-1 amd64'])
    expect(await ours(lower, await layerOf(root))).toEqual(list())
  })
})

const rpmTools = ['rpm', 'rpmbuild', 'tar']

describe.skipIf(!rpmTools.every(hasTool))(`rpm (needs ${rpmTools.join(', ')})`, () => {
  async function makeRpms(folder: string): Promise<string[]> {
    const names = Array.from({ length: 40 }, (_, i) => `package-${i}`)
    const spec = [
      'Name: main',
      'Version: 1.0~rc1',
      'Release: 2.el9',
      'Epoch: 3',
      'Summary: test',
      'License: MIT and GPLv2+',
      'Vendor: Example',
      'BuildArch: noarch',
      '%description\ntext',
      '%files',
      // large headers: rows of SQLite with overflow pages
      ...names.flatMap((name, i) => [
        `%package -n ${name}`,
        'Summary: test',
        `%description -n ${name}\n${'text '.repeat(i * 300)}`,
        `%files -n ${name}`,
      ]),
    ]
    await writeFile(join(folder, 'main.spec'), `${spec.join('\n')}\n`)
    run(
      'rpmbuild',
      '-bb',
      '--define',
      `_topdir ${folder}/build`,
      '--define',
      `_rpmdir ${folder}/rpms`,
      join(folder, 'main.spec'),
    )
    const place = join(folder, 'rpms/noarch')
    return (await readdir(place)).map(name => join(place, name))
  }

  const list = (root: string) =>
    lines(
      run(
        'rpm',
        '--root',
        root,
        '--dbpath',
        '/var/lib/rpm',
        '-qa',
        '--qf',
        '%{NAME} %{EPOCHNUM} %{VERSION}-%{RELEASE} %{ARCH}\n',
      ),
    )
  const ours = async (...layers: Buffer[]) =>
    (await contentOf(...layers)).packages
      .map(one => `${one.name} ${one.epoch ?? 0} ${one.version} ${one.architecture}`)
      .sort()

  it('lists the same out of SQLite, after a removal in a later layer, too', async () => {
    const folder = await tempFolder()
    const root = join(folder, 'root')
    await mkdir(root)
    run('rpm', '--root', root, '--dbpath', '/var/lib/rpm', '-i', '--nodeps', ...(await makeRpms(folder)))
    const lower = await layerOf(root)
    expect(list(root)).toHaveLength(41)
    expect(await ours(lower)).toEqual(list(root))
    run('rpm', '--root', root, '--dbpath', '/var/lib/rpm', '-e', 'package-7')
    expect(list(root)).toHaveLength(40)
    expect(await ours(lower, await layerOf(root))).toEqual(list(root))
  })

  it.skipIf(!hasTool('sqlite3'))('lists what is only in the write-ahead log (needs sqlite3)', async () => {
    const folder = await tempFolder()
    const root = join(folder, 'root')
    await mkdir(root)
    run('rpm', '--root', root, '--dbpath', '/var/lib/rpm', '-i', '--nodeps', ...(await makeRpms(folder)))
    const database = join(root, 'var/lib/rpm/rpmdb.sqlite')
    // a copy taken while the change is not yet written back, as `docker commit` may take it
    const copy = join(folder, 'copy')
    await mkdir(join(copy, 'var/lib/rpm'), { recursive: true })
    const script = [
      'PRAGMA journal_mode=WAL;',
      'PRAGMA wal_autocheckpoint=0;',
      "DELETE FROM Packages WHERE hnum IN (SELECT hnum FROM Name WHERE key='package-3');",
      `.shell cp ${database} ${database}-wal ${copy}/var/lib/rpm/`,
    ]
    execFileSync('sqlite3', [database], { input: script.join('\n'), stdio: ['pipe', 'ignore', 'inherit'] })
    expect((await readFile(`${copy}/var/lib/rpm/rpmdb.sqlite-wal`)).length).toBeGreaterThan(0)
    const found = await ours(await layerOf(copy))
    expect(found).toHaveLength(40)
    expect(found.join()).not.toContain('package-3 ')
    // without the log, the database is in the state before
    await rm(`${copy}/var/lib/rpm/rpmdb.sqlite-wal`)
    expect(await ours(await layerOf(copy))).toHaveLength(41)
  })

  it.skipIf(!['db_load', 'sqlite3'].every(hasTool))(
    'lists the same out of a Berkeley DB hash (needs db_load, sqlite3)',
    async () => {
      const folder = await tempFolder()
      const root = join(folder, 'root')
      await mkdir(root)
      run('rpm', '--root', root, '--dbpath', '/var/lib/rpm', '-i', '--nodeps', ...(await makeRpms(folder)))
      const place = join(root, 'var/lib/rpm')
      const rows = lines(run('sqlite3', join(place, 'rpmdb.sqlite'), 'SELECT hnum, hex(blob) FROM Packages'))
      const dump = rows.flatMap(row => {
        const [number, hex] = row.split('|') as [string, string]
        const key = Buffer.alloc(4)
        key.writeUInt32LE(Number(number))
        return [` ${key.toString('hex')}`, ` ${hex.toLowerCase()}`]
      })
      const old = join(folder, 'old')
      await mkdir(join(old, 'var/lib/rpm'), { recursive: true })
      const text = [
        'VERSION=3',
        'format=bytevalue',
        'type=hash',
        'db_pagesize=4096',
        'HEADER=END',
        ' 00000000',
        ' 28000000',
        ...dump,
        'DATA=END',
        '',
      ]
      execFileSync('db_load', [join(old, 'var/lib/rpm/Packages')], { input: text.join('\n') })
      expect(await ours(await layerOf(old))).toEqual(list(root))
      await cp(join(place, 'rpmdb.sqlite'), join(old, 'var/lib/rpm/rpmdb.sqlite'))
      expect(await ours(await layerOf(old))).toEqual(list(root))
    },
  )
})
