import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { randomRpms } from '../../../scripts/lib/agreement/random-rpms.ts'
import { writeMetadata } from '../../../scripts/lib/agreement/write-rpm-metadata.ts'
import type { RpmCandidate } from '../../../src/kinds/rpm/candidate.ts'
import {
  ElementsReader,
  elementFinder,
  OwnersReader,
  ownersFinder,
  pathsOf,
} from '../../../src/kinds/rpm/filelists.ts'
import { listOf } from '../../../src/kinds/rpm/package-list.ts'
import { PackageTable, relationLists } from '../../../src/kinds/rpm/package-table.ts'
import { PrimaryReader } from '../../../src/kinds/rpm/primary.ts'
import type { ListReader } from '../../../src/kinds/rpm/repomd.ts'
import { candidate } from './candidates.ts'

const architectures = new Set(['x86_64', 'i686', 'noarch'])
const odd: RpmCandidate[] = [
  candidate('hôte-1:2~rc1-3.el9.x86_64', {
    provides: ['한국 = 1', 'a&b', '<c> >= 2:1^x-4', 'hôte(x86-64)'],
    requires: ['(it\'s if "that")', '/usr/bin/hôte'],
    files: ['/usr/bin/hôte', '/etc/a&b', '/etc/<x>'],
    supplements: ['x', 'y'],
    obsoletes: ['older < 3', 'older < 2'],
  }),
  candidate('empty-0-0.noarch', { provides: [] }),
  candidate('foreign-1-1.aarch64', { provides: ['a&b'] }),
  candidate('source-1-1.src'),
]

async function listsOf(packages: readonly RpmCandidate[]): Promise<{ primary: Buffer; filelists: Buffer }> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-lists-'))
  try {
    await writeMetadata(folder, packages)
    const [primary, filelists] = await Promise.all(
      ['primary.xml', 'filelists.xml'].map(name => readFile(join(folder, 'repodata', name))),
    )
    return { primary: primary!, filelists: filelists! }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function readIn<Columns>(size: number, bytes: Buffer, reader: ListReader & { columns(): Columns }): Columns {
  for (let at = 0; at < bytes.length; at += size) reader.write(bytes.subarray(at, at + size))
  return reader.columns()
}

describe('a table of packages', () => {
  it.each([
    [
      'random packages',
      () => randomRpms({ seed: 7, names: 300, repositories: 1, trouble: 1, multilib: true }).repositories[0]!,
      1 << 20,
    ],
    [
      'random packages in parts',
      () => randomRpms({ seed: 8, names: 60, repositories: 1, trouble: 1 }).repositories[0]!,
      97,
    ],
    ['odd packages, byte by byte', () => odd, 1],
    ['no packages', () => [], 64],
  ])('answers as a list of objects does: %s', async (_, make, size) => {
    const all = make()
    const { primary } = await listsOf(all)
    const table = new PackageTable(readIn(size, primary, new PrimaryReader({ item: 'x', architectures })), {
      repository: 0,
      item: 'x',
    })
    const wanted = all.filter(one => architectures.has(one.architecture))
    const list = listOf(wanted)
    expect(table.length).toBe(list.length)
    for (const [at, one] of wanted.entries()) {
      const { primary: place, ...own } = table.candidate(at)
      const { primary: __, ...described } = one
      expect(own).toEqual(withEpochs(described))
      const element = primary.toString('utf8', place.offset, place.offset + place.length)
      expect(element).toMatch(/^<package type="rpm">[\s\S]*<\/package>$/)
      expect(element).toContain(`<arch>${one.architecture}</arch>`)
      expect(element).toContain(one.checksum.hex)
      expect(table.candidate(at)).toBe(table.candidate(at))
      expect(table.positionOf(table.candidate(at))).toBe(at)
      expect([table.nameAt(at), table.architectureAt(at)]).toEqual([one.name, one.architecture])
    }
    const relations = wanted.flatMap(one => relationLists.flatMap(name => one[name].map(({ name }) => name)))
    for (const text of new Set([
      '',
      'nothing',
      ...relations,
      ...wanted.flatMap(({ name, files }) => [name, ...files]),
    ])) {
      for (const question of ['named', 'providing', 'owning', 'obsoleting'] as const)
        expect([question, text, ...table[question](text)]).toEqual([question, text, ...list[question](text)])
    }
    expect([...table.supplementing()]).toEqual([...list.supplementing()])
    expect(table.positionOf(odd[0]!)).toBe(-1)
  })

  it.each([
    ['in a comment', '<!-- <package type="rpm"></package> -->'],
    ['in CDATA', '<description><![CDATA[</package>]]></description>'],
    ['inside of another', '<package type="rpm"></package>'],
  ])('fault 48: an element that only an XML parser separates is refused: %s', async (_, more) => {
    const { primary } = await listsOf([odd[1]!])
    const changed = Buffer.from(primary.toString('utf8').replace('<summary>', () => `${more}<summary>`))
    expect(() => readIn(64, changed, new PrimaryReader({ item: 'x', architectures }))).toThrow(
      'cannot be separated',
    )
  })

  it('fault 48: names that all have one hash do not take quadratic time', async () => {
    const { primary } = await listsOf([odd[1]!])
    const names = collisions(600).map(name => `<rpm:entry name="${name}"/>`)
    const changed = primary
      .toString('utf8')
      .replace('</format>', `<rpm:requires>${names.join('')}</rpm:requires></format>`)
    const read = () => readIn(1 << 20, Buffer.from(changed), new PrimaryReader({ item: 'x', architectures }))
    expect(read).toThrow('chosen to make reading slow')
  })
})

describe('filelists.xml', () => {
  it.each([1, 23, 1 << 20])(
    'says where elements are and who owns a file, in parts of %i bytes',
    async size => {
      const all =
        size === 1 ? odd : randomRpms({ seed: 9, names: 80, repositories: 1, trouble: 0 }).repositories[0]!
      const packages = all.map((one, i) => ({
        ...one,
        checksum: { type: 'sha256', hex: String(i).padStart(64, 'a') },
      }))
      const { filelists } = await listsOf(packages)
      const { find } = elementFinder(readIn(size, filelists, new ElementsReader('x')), 'x')
      const mayOwn = ownersFinder(readIn(size, filelists, new OwnersReader('x')), 'x')
      for (const one of packages) {
        const { start, end } = find(one.checksum.hex)!
        const element = filelists.subarray(start, end)
        expect(element.toString('utf8')).toMatch(/^<package pkgid="[\s\S]*<\/package>$/)
        expect([...pathsOf(element, 'x')].sort()).toEqual([...one.files].sort())
        for (const file of one.files) expect(mayOwn(file)).toContain(one.checksum.hex)
      }
      expect(find('b'.repeat(64))).toBeUndefined()
    },
  )
})

/** As primary.xml has them: a relation with a version has an epoch. */
function withEpochs(one: Omit<RpmCandidate, 'primary'>): object {
  const lists = relationLists.map(name => [
    name,
    one[name].map(relation =>
      relation.flags === undefined ? relation : { ...relation, epoch: relation.epoch ?? '0' },
    ),
  ])
  return { ...one, ...Object.fromEntries(lists) }
}

/** Texts of one slot in a table of up to 2,048: FNV-1a, tried until its low bits are 0. */
function collisions(count: number): string[] {
  const found: string[] = []
  for (let i = 0; found.length < count; i++) {
    const text = i.toString(36)
    let hash = 0x811c9dc5 | 0
    for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193)
    if (((hash ^ (hash >>> 15)) & 0x7ff) === 0) found.push(text)
  }
  return found
}
