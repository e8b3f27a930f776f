import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isRepository, parseReference } from '../../src/core/reference.ts'
import { checkCollisions, nameTable, siteNames, type Upstream } from '../../src/site/names.ts'

const table = (references: string[], collisions: Record<string, string> = {}) =>
  nameTable(
    references.map(text => ({ upstream: parseReference(`${text}:1`), value: text })),
    collisions,
  )

describe('siteNames', () => {
  it.each([
    ['nvcr.io/nvidia/gpu-operator', ['nvcr.io/nvidia/gpu-operator', 'nvidia/gpu-operator']],
    ['docker.io/library/x', ['docker.io/library/x', 'docker.io/x', 'library/x', 'x']],
    ['docker.io/bitnami/x', ['docker.io/bitnami/x', 'bitnami/x']],
    ['quay.io/library/x', ['quay.io/library/x', 'library/x']],
    ['localhost:5000/a/b', ['a/b']],
    ['Registry.Example/a', ['registry.example/a', 'a']],
  ])('%s answers as %j', (reference, names) => {
    const { kept, stripped } = siteNames(parseReference(`${reference}:1`))
    expect([...kept, ...stripped]).toEqual(names)
  })
})

describe('nameTable', () => {
  it('finds by every name, and by ns', () => {
    const names = table(['docker.io/library/busybox', 'nvcr.io/nvidia/cuda'])
    for (const name of ['busybox', 'library/busybox', 'docker.io/busybox', 'docker.io/library/busybox'])
      expect(names.find(name)).toBe('docker.io/library/busybox')
    expect(names.find('nvidia/cuda', 'nvcr.io')).toBe('nvcr.io/nvidia/cuda')
    expect(names.find('library/busybox', 'registry-1.docker.io')).toBe('docker.io/library/busybox')
    expect(names.find('busybox', 'docker.io')).toBe('docker.io/library/busybox')
    expect(names.find('nvidia/cuda', 'quay.io')).toBeUndefined()
    expect(names.find('nothing')).toBeUndefined()
  })

  it('does not find names of Object.prototype', () => {
    expect(table([]).find('constructor')).toBeUndefined()
    expect(() => table(['quay.io/constructor', 'ghcr.io/constructor'])).toThrowError(
      expect.objectContaining({ code: 'NAME_COLLISION' }),
    )
  })

  it('names both upstreams of a collision, and what to write', () => {
    expect(() =>
      checkCollisions([parseReference('quay.io/a/b:1'), parseReference('ghcr.io/a/b:2')], {}),
    ).toThrowError(
      expect.objectContaining({
        code: 'NAME_COLLISION',
        item: 'a/b',
        message: expect.stringMatching(/ghcr\.io\/a\/b and quay\.io\/a\/b/),
        next: expect.stringContaining('collisions:'),
      }),
    )
  })

  it('lets the manifest choose the upstream; ns and the full name find the other one', () => {
    const names = table(['quay.io/a/b', 'ghcr.io/a/b'], { 'a/b': 'ghcr.io' })
    expect(names.find('a/b')).toBe('ghcr.io/a/b')
    expect(names.find('a/b', 'quay.io')).toBe('quay.io/a/b')
    expect(names.find('quay.io/a/b')).toBe('quay.io/a/b')
  })

  it('refuses a choice that is neither upstream', () => {
    expect(() => table(['quay.io/a/b', 'ghcr.io/a/b'], { 'a/b': 'docker.io' })).toThrowError(
      expect.objectContaining({ code: 'NAME_COLLISION', likely: expect.stringContaining('neither of them') }),
    )
  })

  it('finds the collision of a full name with the path of another upstream', () => {
    expect(() => table(['quay.io/a/b', 'ghcr.io/quay.io/a/b'])).toThrowError(
      expect.objectContaining({ code: 'NAME_COLLISION' }),
    )
  })

  it('finds the collision of the short name of an official image', () => {
    expect(() => table(['docker.io/library/x', 'quay.io/x'])).toThrowError(
      expect.objectContaining({ item: 'x' }),
    )
    expect(table(['docker.io/library/x', 'quay.io/x'], { x: 'quay.io' }).find('x')).toBe('quay.io/x')
  })

  it('lets several tags of one repository be', () => {
    checkCollisions([parseReference('quay.io/a/b:1'), parseReference('quay.io/a/b:2')], {})
  })
})

describe('properties', () => {
  const part = fc.constantFrom('a', 'b', 'library', 'quay.io', 'x-y')
  const upstream: fc.Arbitrary<Upstream> = fc.record({
    host: fc.constantFrom('docker.io', 'quay.io', 'ghcr.io', 'localhost:5000'),
    repository: fc.array(part, { minLength: 1, maxLength: 3 }).map(parts => parts.join('/')),
  })
  const spelled = ({ host, repository }: Upstream) => `${host}/${repository}`
  const distinct = fc.uniqueArray(upstream, { selector: spelled, maxLength: 6 })
  const claimsOf = (upstreams: Upstream[]) =>
    upstreams.map(each => ({ upstream: each, value: spelled(each) }))

  it('hold: every name is a repository name, and ns finds exactly its upstream', () => {
    fc.assert(
      fc.property(distinct, upstreams => {
        let names: ReturnType<typeof nameTable<string>>
        try {
          names = nameTable(claimsOf(upstreams), {})
        } catch {
          return
        }
        for (const [name, value] of names.entries()) {
          expect(isRepository(name)).toBe(true)
          const { kept, stripped } = siteNames(upstreams.find(each => spelled(each) === value)!)
          expect([...kept, ...stripped]).toContain(name)
        }
        for (const each of upstreams) {
          expect(names.find(each.repository, each.host)).toBe(spelled(each))
          expect(names.find(each.repository)).toBe(spelled(each))
        }
      }),
    )
  })

  it('hold: a collision is where two upstreams share a name, in any order', () => {
    fc.assert(
      fc.property(distinct, upstreams => {
        const seen = new Map<string, string>()
        let shared = false
        for (const each of upstreams) {
          const { kept, stripped } = siteNames(each)
          for (const name of new Set([...kept, ...stripped])) {
            if (seen.has(name)) shared = true
            seen.set(name, spelled(each))
          }
        }
        const attempt = (list: Upstream[]) => () => checkCollisions(list, {})
        for (const list of [upstreams, upstreams.toReversed()]) {
          if (shared) expect(attempt(list)).toThrowError(expect.objectContaining({ code: 'NAME_COLLISION' }))
          else attempt(list)()
        }
      }),
    )
  })
})
