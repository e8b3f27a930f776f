import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { completeSecrets, parseDeclaration } from '../../src/site/secrets.ts'
import { declarationPath, secretsOf } from '../../src/site/secrets-file.ts'

const home = resolve(import.meta.dirname, '../..')
const list = join(home, 'bundle/astrago/environments/secrets.schema.yaml')
const declaration = parseDeclaration(
  `secrets:
  - {path: a.password, description: of a}
  - {path: a.key, description: key of a, length: 16, exactLength: true}
  - {path: b, description: of b}
refused: [Harbor12345]
`,
  'list',
)
const complete = (before: string, given: Record<string, string> = {}) =>
  completeSecrets(declaration, { before, item: 'secrets.yaml', given: new Map(Object.entries(given)) })

/** numbers to YAML 1.1, which helm reads, and strings to YAML 1.2 */
const ambiguous = fc.constantFrom('1_000_000', '12:30:45:00', '0b10101010', '2026-01-02', '+1_2_3_4_5')

describe('secrets of an environment', () => {
  it('are generated where there are none, each a different one', () => {
    const { text, origins } = complete('')
    const values = parse(text) as { a: { password: string; key: string }; b: string }
    expect(values.a.password).toMatch(/^[A-HJ-NP-Za-km-z2-9]{24}$/)
    expect(values.a.key).toHaveLength(16)
    expect(values.b).not.toBe(values.a.password)
    expect(parse(complete('').text)).not.toEqual(values)
    expect(origins.map(({ origin }) => origin)).toEqual(['generated', 'generated', 'generated'])
    expect(JSON.stringify(origins)).not.toContain(values.b)
  })

  it('stay as they are, with their comments; missing ones are added', () => {
    const before = '# ours\na:\n  password: "of-the-operator"   # changed in May\nother: 1\n'
    const { text, origins } = complete(before, { 'a.password': 'another-one', b: 'from-a-variable' })
    expect(text).toContain('# ours\na:\n  password: "of-the-operator"   # changed in May\n')
    expect(parse(text)).toMatchObject({ b: 'from-a-variable', other: 1 })
    expect(origins.map(({ origin }) => origin)).toEqual(['kept', 'generated', 'given'])
    expect(complete(text).text).toBe(text)
  })

  it('are refused where they are published, too short, or break the text around them, all at once', () => {
    const before = 'a: {password: Harbor12345, key: 12345678}\nb: 7\n'
    expect(() => complete(before)).toThrow(
      expect.objectContaining({
        code: 'VALUES_INVALID',
        message: expect.stringMatching(
          /a\.password \(kept\): a published default.*\n.*a\.key \(kept\): not a string.*\n.*b \(kept\): not a string/,
        ),
      }),
    )
    for (const wrong of ['short', 'with blank inside', 'line\nend-of-it', '비밀번호비밀번호', ''])
      expect(() => complete('', { b: wrong })).toThrow(/secrets are unfit for use/)
    expect(() => complete('', { 'a.key': 'seventeen-chars-x' })).toThrow(/exactly 16 characters/)
  })

  it('are added where a key is empty, and refused where it has a value of another kind', () => {
    const { text, origins } = complete('a:\n  password:   # to be set\nb: "of-the-operator"\n', {
      'a.password': 'from-a-variable',
    })
    expect(text).toMatch(
      /^a:\n {2}password: from-a-variable {3}# to be set\n {2}key: \S{16}\nb: "of-the-operator"\n$/,
    )
    expect(origins.map(({ origin }) => origin)).toEqual(['given', 'generated', 'kept'])
    expect(() => complete('a: of-the-operator-too\n')).toThrow(/a\.key \(kept\): must have exactly 16/)
    expect(() => complete('a: 7\n')).toThrow(/a\.password \(kept\): not a string/)
  })

  it.each([
    ['empty', ''],
    ['blank', '\n \n'],
    ['filled with zeros', '\0\0\0\0'],
  ])('are not generated again where the file is %s', async (_, text) => {
    const folder = await mkdtemp(join(tmpdir(), 'airgap-secrets-'))
    try {
      await mkdir(join(folder, 'environments/prod'), { recursive: true })
      await writeFile(join(folder, declarationPath), await readFile(list))
      const file = secretsOf(folder, 'prod')
      expect(await file.complete('write', new Map())).toMatchObject({ written: true })
      await writeFile(file.path, text)
      await expect(file.complete('write', new Map())).rejects.toMatchObject({
        code: 'VALUES_INVALID',
        item: file.path,
        next: expect.stringContaining(`rm ${file.path}`),
      })
      expect(await readFile(file.path, 'utf8')).toBe(text)
      await rm(file.path)
      expect(await file.complete('write', new Map())).toMatchObject({ written: true })
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('are never overwritten in a file that is no longer valid YAML', () => {
    for (const broken of ['a: [', '- a list\n', 'just text'])
      expect(() => complete(broken)).toThrow(expect.objectContaining({ code: 'VALUES_INVALID' }))
  })

  it('are read back as they were given, by YAML 1.1 too, or refused (property)', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ minLength: 8, maxLength: 40 }), ambiguous), secret => {
        try {
          const { text } = complete('', { b: secret })
          expect((parse(text) as { b: string }).b).toBe(secret)
          expect((parse(text, { version: '1.1' }) as { b: string }).b).toBe(secret)
        } catch (error) {
          expect(error).toMatchObject({ code: 'VALUES_INVALID' })
          expect((error as Error).message).not.toContain(secret)
        }
      }),
    )
  })

  it('are refused under a path that is not one of values', () => {
    for (const path of ['__proto__.x', 'a..b', '', 'a b', '1'])
      expect(() => parseDeclaration(`secrets: [{path: "${path}", description: x}]`, 'list')).toThrow(
        expect.objectContaining({ code: 'VALUES_INVALID' }),
      )
  })

  it('are declared by the tree of Astrago for every release that needs them', async () => {
    const { secrets, refused } = parseDeclaration(await readFile(list, 'utf8'), list)
    const placeholders = parse(await readFile(join(home, 'manifests/astrago.values.yaml'), 'utf8'))
    const leaves = (value: unknown, path: string[]): string[] =>
      typeof value === 'object' && value !== null
        ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]))
        : [path.join('.')]
    const known = ['externalIP', 'nfs.server', 'nfs.basePath']
    expect(secrets.map(({ path }) => path).sort()).toEqual(
      leaves(placeholders, [])
        .filter(path => !known.includes(path))
        .sort(),
    )
    for (const documented of ['xiirocks', 'astrago', 'Harbor12345']) expect(refused).toContain(documented)
  })
})
