import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PackageList } from '../../../src/kinds/deb/package-list.ts'
import { PackageTableBuilder } from '../../../src/kinds/deb/package-table.ts'

const index = { mediaType: 'x', digest: `sha256:${'0'.repeat(64)}`, size: 1 } as const

function listOfText(text: string, { architecture = 'amd64', chunk = 1 << 20 } = {}): PackageList {
  const builder = new PackageTableBuilder({ architecture, item: 'Packages' })
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += chunk) builder.read(bytes.subarray(at, at + chunk))
  return new PackageList(builder.end(), { source: 3, component: 'main', index, architecture })
}

const stanza = (name: string, fields: Record<string, string> = {}) =>
  Object.entries({ Package: name, Version: '1', Architecture: 'amd64', ...fields })
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('')

const text = [
  stanza('app', {
    Depends: 'lib (>= 1), python3:any | other',
    Provides: 'web, mta (= 1), mta (= 2)',
    Size: '7',
  }),
  stanza('lib', { Version: '2', 'Multi-Arch': 'same', 'Phased-Update-Percentage': '10' }),
  stanza('lib', { Version: '1', Architecture: 'all', Priority: 'required', Essential: 'yes' }),
  stanza('lib', { Version: '3', Architecture: 'arm64', Depends: 'elsewhere' }),
  stanza('mail', { Architecture: 'all', Provides: 'mta,\n web:any', SHA256: 'AB', Source: 'post (2)' }),
].join('\n')

/** Names that all have one place in the table of names: FNV-1a, folded. */
function collidingNames(count: number): string[] {
  const names: string[] = []
  for (let i = 0; names.length < count; i++) {
    const name = `n${i}`
    let hash = 0x811c9dc5 | 0
    for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
    if (((hash ^ (hash >>> 15)) & 0x3fff) === 0) names.push(name)
  }
  return names
}

describe('the packages of an index', () => {
  const list = listOfText(text)
  const met = (name: string, architecture = 'amd64', native = 'amd64') =>
    list.metAt({ name, architecture }, native)

  it('are found by name, without those of other architectures', () => {
    expect(list.versionsOf('lib').map(({ version }) => version)).toEqual(['2', '1'])
    expect(list.versionsOf('elsewhere')).toEqual([])
    expect(list.versionsOf('Ă'.repeat(3))).toEqual([])
    expect([...list.names()]).toEqual(['app', 'lib', 'lib', 'mail'])
  })

  it('are the same objects each time', () => {
    expect(list.versionsOf('app')[0]).toBe(list.providersOf('web')[0])
  })

  it('have the fields of their stanzas', () => {
    const [app] = list.versionsOf('app')
    expect(app).toMatchObject({ source: 3, component: 'main', size: 7, sha256: '', priority: 0 })
    expect(app!.depends).toBe('lib (>= 1), python3:any | other')
    expect([app!.recommends, app!.multiArch, app!.builtFrom, app!.phased]).toEqual(Array(4).fill(undefined))
    const [newer, older] = list.versionsOf('lib')
    expect([newer!.multiArch, newer!.phased, newer!.size]).toEqual(['same', 10, -1])
    expect([older!.essential, older!.priority]).toEqual([true, 1])
    const [mail] = list.versionsOf('mail')
    expect([mail!.provides, mail!.sha256, mail!.builtFrom]).toEqual(['mta, web:any', 'ab', 'post (2)'])
    const { offset, length } = mail!.stanza
    expect(text.slice(offset, offset + length)).toBe(text.slice(text.indexOf('Package: mail')).trimEnd())
  })

  it('are found by what they provide, each once', () => {
    expect(list.providersOf('mta').map(({ name }) => name)).toEqual(['app', 'mail'])
    expect(list.providersOf('web').map(({ name }) => name)).toEqual(['app', 'mail'])
    expect(list.providersOf('lib')).toEqual([])
  })

  it('name others in the order in which apt meets them; a name with an architecture is another one', () => {
    const order = ['app', 'lib', 'other', 'web', 'mta', 'mail']
    expect(order.map(name => met(name))).toEqual([1, 2, 3, 4, 5, expect.any(Number)])
    expect(met('mail')).toBeGreaterThan(met('mta')!)
    expect(met('python3')).toBeUndefined()
    expect(met('elsewhere')).toBeUndefined()
  })

  it('name those of two architectures where the machine has another one', () => {
    expect(met('app', 'arm64', 'arm64')).toBeUndefined()
    expect(met('app', 'amd64', 'arm64')).toBe(1)
    expect(met('mail', 'arm64', 'arm64')).toBeDefined()
    expect(met('mail', 'amd64', 'arm64')).toBeUndefined()
    expect(met('lib', 'arm64', 'arm64')).toBeGreaterThan(met('lib', 'amd64', 'arm64')!)
  })

  it('do not depend on how the file is cut', () => {
    const all = JSON.stringify(
      [...list.all()].map(one => ({ ...one, depends: one.depends, provides: one.provides })),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), chunk => {
        const other = [...listOfText(text, { chunk }).all()]
        expect(
          JSON.stringify(other.map(one => ({ ...one, depends: one.depends, provides: one.provides }))),
        ).toBe(all)
      }),
    )
  })

  it('are all found among many names', () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `p${i.toString(36)}`)
    const many = listOfText(names.map(name => stanza(name)).join('\n'))
    expect(names.every(name => many.versionsOf(name)[0]?.name === name)).toBe(true)
    expect(many.versionsOf('p-')).toEqual([])
  })

  it.each(['Package: a\nVersion: 1\n', 'Package: a\nArchitecture: all\n', 'Version: 1\nArchitecture: all\n'])(
    'refuses a stanza without what identifies a package: %j',
    broken => {
      expect(() => listOfText(`${stanza('b')}\n${broken}`)).toThrow(/lacks Package, Version or Architecture/)
    },
  )

  it('are refused where their names all have one hash, before reading takes quadratic time', () => {
    const hostile = collidingNames(600).map(name => stanza(name))
    expect(listOfText(hostile.slice(0, 400).join('\n')).versionsOf('n0')).toBeDefined()
    expect(() => listOfText(hostile.join('\n'))).toThrow('chosen to make reading slow')
  })
})
