import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/core/digest.ts'
import { differenceOf } from '../../../src/kinds/lock-changes.ts'
import { rpmKind } from '../../../src/kinds/rpm/index.ts'
import type { LockedRpms } from '../../../src/kinds/rpm/locked.ts'
import { formatLock, parseLock, recordTheSame } from '../../../src/lock/lock.ts'
import type { Lock } from '../../../src/lock/schema.ts'
import { joinedLines, type TextLines } from '../../../src/lock/text-lines.ts'
import { lackingForRpm, makeRpms, type TestRpm } from '../../site/support/rpm.ts'
import { publishYum, rpmOf } from '../../site/support/yum-publisher.ts'
import { Gpg } from '../deb/support/archive.ts'
import { tempFolder } from '../deb/support/programs.ts'
import { withContext } from '../deb/support/resolve.ts'
import { serveFolder } from '../deb/support/server.ts'

const comps =
  '<comps>\n<group>\n <id>tools</id>\n <name>Tools</name>\n <packagelist>\n  <packagereq type="mandatory">app</packagereq>\n </packagelist>\n</group>\n</comps>\n'
const modules = `---
document: modulemd
version: 2
data:
  name: app
  stream: "1"
  version: 1
  context: c0ffee
  arch: x86_64
  summary: s
  description: d
  license: {module: [MIT]}
  dependencies: [{requires: {platform: [el9]}}]
  artifacts: {rpms: ["app-0:1.0-1.el9.noarch", "app-0:1.1-1.el9.noarch"]}
...
`

describe.skipIf(lackingForRpm.length > 0)(
  `the lines of a lock with rpms (needs ${lackingForRpm.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let folder: string
    let gpg: Gpg
    let before: LockedRpms
    let after: LockedRpms

    beforeAll(async () => {
      folder = resources.use(await tempFolder()).path
      gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
      await gpg.makeKey('publisher', { algorithm: 'rsa3072' })
      await gpg.exportTo(join(folder, 'publisher.asc'), 'publisher')
      const others: TestRpm[] = ['lib', 'doc'].map(name => ({ name }))
      before = await locked('before', [{ name: 'app', requires: ['lib', 'doc'] }, ...others])
      after = await locked('after', [{ name: 'app', version: '1.1', requires: ['lib', 'doc'] }, ...others])
    }, 60_000)
    afterAll(() => resources.disposeAsync())

    async function locked(name: string, packages: TestRpm[]): Promise<LockedRpms> {
      const place = join(folder, name)
      const built = new Map<string, { from: string }>()
      for (const one of packages) {
        const own = join(folder, `${one.name}-${one.version ?? '1.0'}`)
        // a package that does not change keeps its bytes
        if (!made.has(own)) await makeRpms(own, { gpgHome: gpg.home, user: 'publisher', packages: [one] })
        made.add(own)
        built.set(`Packages/${one.name}-${one.version ?? '1.0'}.rpm`, { from: await rpmOf(own, one.name) })
      }
      await publishYum(
        place,
        {
          packages: Object.fromEntries(built),
          extra: { group: comps, modules },
          // when a file was copied here
          change: { primary: text => text.replaceAll(/<time file="[0-9]+"/g, '<time file="1"') },
        },
        { gpg, user: 'publisher@example.org' },
      )
      await using server = await serveFolder(place)
      const keys = [join(folder, 'publisher.asc')]
      const cache = join(folder, `${name}-cache`)
      await mkdir(cache)
      const result = await withContext({ folder: cache }, context =>
        rpmKind.resolve(
          {
            at: 'stack.yaml:5:5',
            name: 'el9',
            platform: 'platform:el9',
            repositories: [
              {
                id: 'r',
                baseurl: server.url,
                keys,
                keysAsWritten: keys,
                metadata: 'signed',
                packages: 'signed',
                priority: 99,
                excludepkgs: [],
                moduleHotfixes: false,
              },
            ],
            architectures: ['x86_64'],
            modules: ['app:1'],
            packages: ['@tools'],
            kernelPackages: [],
            weak: false,
            base: { type: 'none' },
          },
          context,
        ),
      )
      // the port of the test's server is another one each time
      return { ...result, repositories: result.repositories.map(one => ({ ...one, baseurl: 'http://x' })) }
    }
    const made = new Set<string>()

    it('are those of the texts: of elements of primary.xml and filelists.xml, groups, modules and keys', () => {
      const lines = formatLock(lockOf(before)).split('\n')
      expect(Math.max(...lines.map(line => line.length))).toBeLessThan(200)
      expect(lines.map(line => line.trim())).toEqual(
        expect.arrayContaining([
          '"  <name>app</name>",',
          '"    <file>/opt/app/file</file>",'.replace('    ', '  '),
          '" <id>tools</id>",',
          '"  stream: \\"1\\"",',
          '"-----BEGIN PGP PUBLIC KEY BLOCK-----",',
        ]),
      )
    })

    it('change where a package changes, and nowhere else', () => {
      const [old, fresh] = [before, after].map(item => formatLock(lockOf(item)).split('\n'))
      const gone = old!.filter(line => !fresh!.includes(line))
      const own = formatLock(lockOf({ ...before, packages: before.packages.filter(p => p.name === 'app') }))
      expect(gone.every(line => own.split('\n').includes(line))).toBe(true)
      // name, version, digest, size, times: not the element as a whole
      expect(gone.length).toBeLessThan(15)
      const changes = differenceOf(lockOf(before), lockOf(after)).changes
      expect(changes.map(({ name, change }) => `${change} ${name}`)).toEqual(['changed app.noarch'])
    })

    it('mean the same as one line each, which older versions wrote', () => {
      const [old, fresh] = [lockOf(inOneLine(before)), lockOf(before)]
      expect(parseLock(formatLock(old), 'old').items).toEqual(old.items)
      expect(formatLock(old)).not.toBe(formatLock(fresh))
      expect(recordTheSame(old, fresh)).toBe(true)
      expect(differenceOf(old, fresh)).toMatchObject({ changes: [], settings: [] })
      expect(differenceOf(fresh, old)).toMatchObject({ changes: [], settings: [] })
      expect(recordTheSame(lockOf(inOneLine(before)), lockOf(after))).toBe(false)
      expect(differenceOf(old, lockOf(after)).changes).toEqual(differenceOf(fresh, lockOf(after)).changes)
    })

    it('make the same bundle as one line each', () => {
      expect(rpmKind.assemble([inOneLine(before)])).toEqual(rpmKind.assemble([before]))
      expect(rpmKind.components(inOneLine(before))).toEqual(rpmKind.components(before))
    })

    it('show a changed text of the same package line by line', () => {
      const touched = structuredClone(before)
      const app = touched.packages.find(one => one.name === 'app')!
      app.primary = joinedLines(app.primary).replace('<summary>test', '<summary>other').split('\n')
      for (const old of [before, inOneLine(before)])
        expect(differenceOf(lockOf(old), lockOf(touched)).changes).toMatchObject([
          {
            name: 'app.noarch',
            facts: [{ after: '  <summary>other</summary>' }, { before: '  <summary>test</summary>' }],
          },
        ])
    })
  },
)

/** As versions wrote it that knew no lists of lines. */
function inOneLine(item: LockedRpms): LockedRpms {
  const all = (texts: readonly TextLines[]) => texts.map(joinedLines)
  return {
    ...item,
    repositories: item.repositories.map(one => ({
      ...one,
      keys: all(one.keys),
      modules: all(one.modules),
      groups: all(one.groups),
    })),
    packages: item.packages.map(one => ({
      ...one,
      primary: joinedLines(one.primary),
      filelists: joinedLines(one.filelists),
    })),
  }
}

function lockOf(item: LockedRpms): Lock {
  return {
    lockVersion: 1,
    name: 'x',
    version: '1',
    platforms: [],
    inputs: digestOf('inputs'),
    collisions: {},
    runtime: [],
    items: { rpm: [item] },
  }
}
