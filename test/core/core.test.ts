import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { fromSystemError } from '../../src/core/errors.ts'
import { hasSecretUrl, redactText, redactUrl } from '../../src/core/redact.ts'
import { isSafeLink, safeRelativePath } from '../../src/core/safe-path.ts'

describe('canonicalJson', () => {
  it('returns one text whatever the order of keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), value => {
        const turned = Object.fromEntries(Object.entries(value).reverse())
        expect(canonicalJson(turned)).toBe(canonicalJson(value))
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('keeps a key named __proto__ as data', () => {
    expect(canonicalJson(JSON.parse('{"__proto__":1}'))).toBe('{"__proto__":1}')
  })
})

describe('safeRelativePath', () => {
  it.each([
    'a/../b',
    '/etc/passwd',
    '..',
    'a//b',
    './a',
    'a/',
    'a\u0000b',
    'a\nb',
    'a\\b',
    'https://a/b',
    '',
    'x'.repeat(1025),
    `a/${'x'.repeat(256)}`,
    '한'.repeat(86),
    'a/\ud800',
    '\udc00b',
  ])('refuses %j (faults 38, 70)', path => {
    expect(() => safeRelativePath(path)).toThrowError(expect.objectContaining({ code: 'BUNDLE_CORRUPT' }))
  })

  it.each([
    'pool/main/g/g++-12/g++-12_12.2.0-14_amd64.deb',
    'a/1%3a2~b+c.deb',
    '설치/안내.md',
    '..a/b..',
    'a b',
    `a/${'x'.repeat(255)}`,
    '🚀',
  ])('accepts %j', path => {
    expect(safeRelativePath(path)).toBe(path)
  })
})

describe('redactUrl', () => {
  it('removes every secret', () => {
    const text = redactUrl('https://user:hunter2@example.org/a?X-Amz-Signature=abc&b=2')
    expect(text).toBe('https://example.org/a?X-Amz-Signature=…&b=…')
  })

  it.each([
    ['https://me:pa/ss@example.org/a?sig=x y', 'https://…@example.org/a?… y'],
    ['see https://me:a b@example.org', 'see https://…@example.org'],
    ['https://me:pa/ss word@host', 'https://…@host'],
    ['https://me:p"a@host/', 'https://…@host/'],
    ['//me:pw@host/x', '//…@host/x'],
    ['user:pa ss@host', '…@host'],
    ['admin:p"w@host', '…@host'],
    ['http://h/x?token=a"b', 'http://h/x?…'],
    ['https://r.example/x:1@sha256:0123', 'https://r.example/x:1@sha256:0123'],
    ['https://me:pw@r.example/x:1@sha256:0123', 'https://…@r.example/x:1@sha256:0123'],
    ['docker.io=me:hunter2@mirror,other', 'docker.io=…@mirror,other'],
    ['oci://me:hunter2@example.org/x', 'oci://…@example.org/x'],
    ['docker.io/library/x:1@sha256:0123', 'docker.io/library/x:1@sha256:0123'],
    ['r.example:5000/x:1', 'r.example:5000/x:1'],
    ['@scope/name, a@b', '@scope/name, a@b'],
  ])('masks what a person wrote: %s', (text, expected) => expect(redactText(text)).toBe(expected))
})

describe('redactUrl without a host', () => {
  it('masks the password of an address that parses as another scheme', () => {
    expect(redactUrl('me:pw@host:5000/x')).toBe('…@host:5000/x')
  })
})

describe('hasSecretUrl', () => {
  it.each([
    'https://hooks.slack.com/services/T0/B0/x',
    'https://acct.blob.core.windows.net/c?sv=1&sig=x',
    'https://s3.example/x?X-Amz-Signature=x',
    'postgres://user:x@db',
  ])('%s', text => expect(hasSecretUrl(text)).toBe(true))

  it('finds none in the address of a service', () => {
    expect(hasSecretUrl('https://registry.example/x?ns=docker.io&page=2')).toBe(false)
  })
})

describe('system errors', () => {
  it.each([
    ['ENOSPC', 'NO_SPACE', 7],
    ['EACCES', 'PERMISSION', 7],
    ['EROFS', 'PERMISSION', 7],
    ['EIO', 'IO', 7],
    ['ENOENT', 'FILE_NOT_FOUND', 2],
    ['EFBIG', 'NO_SPACE', 7],
  ])('%s becomes %s with exit code %i', (errno, code, exit) => {
    const error = fromSystemError(Object.assign(new Error(errno), { code: errno }), '/a/file')
    expect(error).toMatchObject({ code, exitCode: exit, item: '/a/file', next: expect.any(String) })
  })
})

describe('isSafeLink', () => {
  it.each(['x', './x', 'v1/', 'a//b', 'a/./b', '../x', './../x', '..', '.'])('stays inside: %s', target =>
    expect(isSafeLink({ path: 'd/link', target })).toBe(true),
  )

  it.each(['', '/x', '//x', '../../x', './../../x', 'a/../x', 'a/./../x', 'x\ny', 'x'.repeat(1025)])(
    'is refused: %j',
    target => expect(isSafeLink({ path: 'd/link', target })).toBe(false),
  )
})
