import { describe, expect, it } from 'vitest'
import { isSecretName, mentionsSecret } from '../../src/core/secret-names.ts'
import { plainNames, secretNames } from './support/secret-names.ts'

describe('isSecretName', () => {
  it.each(secretNames)('%s names a secret', name => {
    expect(isSecretName(name)).toBe(true)
  })

  it.each(plainNames)('%s does not', name => {
    expect(isSecretName(name)).toBe(false)
  })

  const separators = ['_', '-', '.', '/', ' ']
  const spellings = (words: string[]): string[] => {
    const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1)
    return [
      ...separators.flatMap(separator => [words.join(separator), words.join(separator).toUpperCase()]),
      words.join(''),
      words.join('').toUpperCase(),
      words.map(capital).join(''),
      words.map((word, i) => (i === 0 ? word : capital(word))).join(''),
      words.map((word, i) => (i === 0 ? word.toUpperCase() : capital(word))).join(''),
    ]
  }

  it.each([
    ['db', 'password'],
    ['root', 'passwd'],
    ['ssh', 'passphrase'],
    ['api', 'key'],
    ['encryption', 'key'],
    ['client', 'secret'],
    ['access', 'token'],
    ['cloud', 'credentials'],
    ['proxy', 'auth'],
    ['session', 'cookie'],
    ['smtp', 'pass'],
    ['ldap', 'pw'],
    ['mysql', 'pwd'],
    ['admin', 'kubeconfig'],
    ['my', 'app', 'private', 'key'],
  ])('%s %s in every spelling, also numbered and with a prefix or suffix', (...words) => {
    for (const name of spellings(words))
      for (const form of [name, `${name}_2`, `${name}1`, `${name}.old`, `prod.${name}`, `${name}_data`])
        expect(isSecretName(form), form).toBe(true)
  })

  it('looks at the end of a long path of keys', () => {
    expect(isSecretName(`${'x'.repeat(2_000)}.password`)).toBe(true)
  })

  it('takes no long time for a long name', () => {
    const started = performance.now()
    for (const part of ['password', 'aA', '-', 'key', 'tokeniz', '1']) isSecretName(part.repeat(1_000_000))
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})

describe('mentionsSecret', () => {
  it.each([
    'args: ["--admin-password=x"]',
    'helm upgrade --set auth.password=x',
    'user: {token: x}',
    '# the passphrase of root is x',
    '"client-secret":"x"',
  ])('%s', line => {
    expect(mentionsSecret(line)).toBe(true)
  })

  it('finds none in a line without', () => {
    expect(mentionsSecret('keyboard: {layout: kr, author: me} # monkey business')).toBe(false)
  })
})
