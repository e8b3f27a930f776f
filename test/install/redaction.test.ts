import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Redactor, removed } from '../../src/install/redaction.ts'
import { forms, leaks } from './leaks.ts'

const secrets = [
  'Vx7#q&<p"9\'z',
  'hunter2x',
  'pa/ss+word=1',
  '비밀-번호-42',
  'kJ8\\n-w%41',
  'aB3dE5gH7jK9mN2pQ4sT6v',
]

describe('Redactor', () => {
  const redactor = new Redactor(secrets)

  it.each(Object.keys(forms))('removes a secret: %s', form => {
    for (const secret of secrets) {
      const text = `2026-01-01 line before\nsome ${forms[form]!(secret)} text\nline after`
      expect(leaks(text, secret), `the test finds ${secret}`).toBeDefined()
      const clean = redactor.text(text)
      expect(leaks(clean, secret), clean).toBeUndefined()
      expect(clean).toContain('2026-01-01 line before\n')
      expect(clean).toMatch(/\nline after$/)
    }
  })

  it('removes any secret, anywhere (property)', () => {
    const secret = fc.string({ minLength: 8, maxLength: 40 }).filter(text => /^[\x21-\x7e]+$/.test(text))
    const form = fc.constantFrom(...Object.keys(forms))
    fc.assert(
      fc.property(secret, form, fc.string(), fc.string(), (value, name, before, after) => {
        const clean = new Redactor([value]).text(`${before} ${forms[name]!(value)} ${after}`)
        expect(leaks(clean, value)).toBeUndefined()
      }),
      { numRuns: 300 },
    )
  })

  it('leaves other text as it is', () => {
    const text = [
      'TASK [kubernetes/control-plane : kubeadm | Initialize first master] ***',
      'ok: [node-1] => {"changed": false, "path": "/etc/containerd/certs.d"}',
      'Pulling 10.0.0.5:35000/astrago/core@sha256:3b5e0c0b1f0c5b7e0e6c9a2a5d8e0f1f2a3b4c5d6e7f8091a2b3c4d5e6f70812',
      'GET http://10.0.0.5:8080/files/a/b.tar.gz 200',
    ].join('\n')
    expect(redactor.text(text)).toBe(text)
  })

  it.each([
    ['password=letmein, next', `password=${removed}, next`],
    ['"db_password": "let\\"me in", "a": 1', `"db_password": ${removed}, "a": 1`],
    ['{\\"token\\": \\"let me\\", \\"a\\": 1}', `{\\"token\\": ${removed}, \\"a\\": 1}`],
    ['curl --password letmein -v', `curl --password ${removed} -v`],
    ['Authorization: Bearer abcdefgh.ijkl', `Authorization: Bearer ${removed}`],
    ['redis://:letmein@10.0.0.9/0', 'redis://10.0.0.9/0'],
    ['https://h/x?sig=letmein&a=1', 'https://h/x?sig=…&a=…'],
    ['http://u:letmein@[bad/x', `http://${removed}@[bad/x`],
    ['http:\\/\\/u:letmein@h\\/x', 'http://h/\\/x'],
  ])('%s', (text, clean) => {
    expect(redactor.text(text)).toBe(clean)
  })

  it('removes private keys: whole, in JSON, without an end, without a beginning', () => {
    const key = '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAAB3\nNzaC1y\n-----END OPENSSH PRIVATE KEY-----'
    expect(redactor.text(`a\n${key}\nb`)).toBe(`a\n${removed}\nb`)
    expect(redactor.text(JSON.stringify({ key, b: 1 }))).not.toContain('NzaC1y')
    expect(redactor.text(`a\n${key.slice(0, 50)}`)).toBe(`a\n${removed}`)
    expect(redactor.text(`${key.slice(40)}\nb\n${key}\nc`)).toBe(`${removed}\nb\n${removed}\nc`)
    const pgp = key.replaceAll('OPENSSH PRIVATE KEY', 'PGP PRIVATE KEY BLOCK')
    expect(redactor.text(`a\n${pgp}\nb`)).toBe(`a\n${removed}\nb`)
  })

  it('removes the rest of a secret at the end of a truncated line', () => {
    const secret = secrets[5]!
    expect(redactor.text(`${'x '.repeat(600)}${secret.slice(0, 12)}`)).not.toContain(secret.slice(0, 5))
  })

  it('redacts documents by the names of their keys', () => {
    const yaml = [
      'ssh: {user: root, password: true, privateKey: /root/id}',
      'values:',
      '  dbPassword: &a letmein # letmein',
      '  again: {apiToken: *a, deep: {credentials: [one, {b: two}]}}',
      '  key: |',
      '    line one',
      '    line two',
      '  port: 8080',
    ].join('\n')
    expect(redactor.document(yaml, 'yaml')).toBe(
      [
        ...['ssh:', '  user: root', '  password: true', `  privateKey: "${removed}"`, 'values:'],
        ...[`  dbPassword: "${removed}"`, '  again:', `    apiToken: "${removed}"`, '    deep:'],
        ...['      credentials:', `        - "${removed}"`, `        - b: "${removed}"`],
        ...[`  key: "${removed}"`, '  port: 8080', ''],
      ].join('\n'),
    )
    expect(redactor.document('{"pin": {"secret": 1234}, "x": "hunter2x"}', 'json')).toBe(
      `${JSON.stringify({ pin: { secret: removed }, x: removed }, null, 2)}\n`,
    )
  })

  it('redacts an invalid document line by line', () => {
    const broken = 'a: [\nmyPassword: let me in\nkeys:\n  - one\n  - two\nport: 1\n'
    expect(redactor.document(broken, 'yaml')).toBe(
      `a: [\nmyPassword: ${removed}\nkeys: ${removed}\nport: 1\n`,
    )
  })

  it('is fast on long words and long secrets', () => {
    const long = new Redactor([
      's'.repeat(5000),
      ...Array.from({ length: 20 }, (_, i) => `secret-number-${i}`),
    ])
    const started = performance.now()
    const text = `${'a'.repeat(200_000)}\n${'password'.repeat(20_000)}\n${'-----END '.repeat(5_000)}\n${'{"key":"value","n":1}\n'.repeat(20_000)}`
    long.text(text)
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})
