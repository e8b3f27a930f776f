import { describe, expect, it } from 'vitest'
import { hasSecretUrl, redactText } from '../../src/core/redact.ts'
import {
  SecretQueries,
  withoutSecretParameters,
  withoutSecretQueries,
} from '../../src/core/secret-queries.ts'

/** Signed URLs and URLs with tokens, as their makers write them; what is left is not part of a credential. */
const urls: [string, string, string][] = [
  ['Azure SAS', 'sp=rl&st=2026-01-01T00:00:00Z&se=2026-02-01&spr=https&sv=2022-11-02&sr=c&sig=s3cr%3D', ''],
  [
    'Amazon S3',
    'X-Amz-Algorithm=A&X-Amz-Credential=s3cr&X-Amz-Date=1&X-Amz-Signature=s3cr&versionId=3',
    'versionId=3',
  ],
  ['Amazon S3, version 2', 'AWSAccessKeyId=s3cr&Expires=1&Signature=s3cr', ''],
  ['a session of Amazon', 'x-amz-security-token=s3cr', ''],
  ['Google Cloud Storage', 'X-Goog-Algorithm=G&X-Goog-Credential=s3cr&X-Goog-Signature=s3cr', ''],
  ['Google Cloud Storage, version 2', 'GoogleAccessId=s3cr&Expires=1&Signature=s3cr', ''],
  ['CloudFront', 'Expires=1&Signature=s3cr&Key-Pair-Id=s3cr', ''],
  ['CloudFront with a policy', 'Policy=s3cr&Signature=s3cr&Key-Pair-Id=s3cr&Hash-Algorithm=SHA256', ''],
  ['Alibaba OSS', 'OSSAccessKeyId=s3cr&Expires=1&Signature=s3cr', ''],
  ['Tencent COS', 'q-sign-algorithm=sha1&q-ak=s3cr&q-sign-time=1&q-signature=s3cr', ''],
  ['Akamai', 'hdnts=exp=1~acl=*~hmac=s3cr', ''],
  ['nginx secure_link', 'md5=s3cr&expires=1', ''],
  ['GitLab', 'private_token=s3cr&ref=main', 'ref=main'],
  ['a job of GitLab', 'job_token=s3cr', ''],
  ['GitHub', 'token=s3cr&raw=true', 'raw=true'],
  ['OAuth', 'access_token=s3cr', ''],
  ['Firebase', 'alt=media&token=s3cr', 'alt=media'],
  ['an API', 'apikey=s3cr&v=2', 'v=2'],
  ['an API of Google', 'key=s3cr&alt=media', 'alt=media'],
  ['Azure Functions', 'code=s3crs3crs3crs3crs3cr', ''],
  ['a user', 'user=me&password=s3cr', 'user=me'],
  ['an escaped name', 'to%6ben=s3cr', ''],
]

describe('credentials in a query', () => {
  it.each(urls)('of %s are taken off, and sent again', (_, query, rest) => {
    const url = `https://files.example/pub/a.tgz?${query}`
    const wanted = `https://files.example/pub/a.tgz${rest === '' ? '' : `?${rest}`}`
    expect(withoutSecretQueries(url)).toBe(wanted)
    const queries = new SecretQueries()
    expect(queries.takeFrom(url, 'stack.yaml:1:1')).toBe(wanted)
    const signed = queries.signed(new URL(wanted))
    expect(signed.search.slice(1).split('&').sort()).toEqual(query.split('&').sort())
    expect(JSON.stringify(queries)).not.toContain('s3cr')
    expect(withoutSecretParameters(url)).not.toContain('s3cr')
    expect(redactText(`see ${url}`)).not.toContain('s3cr')
    expect(redactText(`files.example/pub?${query}`)).not.toContain('s3cr')
    expect(hasSecretUrl(url)).toBe(true)
  })

  it.each([
    'raw=true&ref=main',
    'key=charts/a.tgz',
    'expires=1',
    'se=1&sv=2',
    'token=',
    'code=kr',
    'id=1&v=2',
  ])('are not in ?%s', query => {
    expect(withoutSecretQueries(`https://files.example/x?${query}`)).toBe(`https://files.example/x?${query}`)
  })

  it('are taken off every URL of a text, and the rest of it stays', () => {
    const queries = new SecretQueries()
    const text = 'app @ https://a.example/app.whl?token=x#sha256=ab ; python_version > "3"'
    expect(queries.takeFrom(text, 'stack.yaml:1:1')).toBe(
      'app @ https://a.example/app.whl#sha256=ab ; python_version > "3"',
    )
    expect(queries.takeFromAll({ list: [{ a: text, b: 1, c: null }] }, 'stack.yaml:1:1')).toEqual({
      list: [{ a: 'app @ https://a.example/app.whl#sha256=ab ; python_version > "3"', b: 1, c: null }],
    })
  })

  it('go to the same origin and below the same path only; the longest path wins', () => {
    const queries = new SecretQueries()
    queries.takeFrom('https://a.example/charts?token=charts', 'stack.yaml:1:1')
    queries.takeFrom('https://a.example/charts/own/?token=own', 'stack.yaml:1:1')
    queries.takeFrom('https://a.example/get?id=1&token=one', 'stack.yaml:1:1')
    queries.takeFrom('https://a.example/get?id=2&token=two', 'stack.yaml:1:1')
    const sent = (url: string) => queries.signed(new URL(url)).href
    expect(sent('https://a.example/charts/index.yaml')).toBe(
      'https://a.example/charts/index.yaml?token=charts',
    )
    expect(sent('https://a.example/charts?x=1')).toBe('https://a.example/charts?x=1&token=charts')
    expect(sent('https://a.example/charts/own/x')).toBe('https://a.example/charts/own/x?token=own')
    expect(sent('https://a.example/get?id=2')).toBe('https://a.example/get?id=2&token=two')
    expect(sent('https://a.example/charts/x?token=other')).toBe('https://a.example/charts/x?token=other')
    for (const url of [
      'https://a.example/chartsx',
      'https://a.example/',
      'http://a.example/charts',
      'https://a.example:444/charts',
      'https://b.example/charts',
      'https://a.example.org/charts',
    ])
      expect(sent(url)).toBe(new URL(url).href)
  })

  it('that alone tell two URLs of a manifest apart are refused; those of a page are renewed', () => {
    const queries = new SecretQueries()
    queries.takeFrom('https://a.example/x?token=one', 'stack.yaml:1:1')
    queries.takeFrom('https://a.example/x?token=one', 'stack.yaml:1:1')
    expect(() => queries.takeFrom('https://a.example/x?token=two', 'stack.yaml:1:1')).toThrow(/differ only/)
    expect(queries.isFromPage('https://a.example/x')).toBe(false)
    queries.takeFromPage('https://cdn.example/x?X-Amz-Signature=one')
    queries.takeFromPage('https://cdn.example/x?X-Amz-Signature=two')
    expect(queries.signed(new URL('https://cdn.example/x')).search).toBe('?X-Amz-Signature=two')
    expect(queries.isFromPage('https://cdn.example/x')).toBe(true)
    // the link of a page below a repository of the manifest, with its query
    queries.takeFromPage('https://a.example/x/y?token=one')
    expect(queries.isFromPage('https://a.example/x/y')).toBe(false)
  })

  it('are found in hostile text in linear time', () => {
    const started = performance.now()
    for (const text of ['http://'.repeat(10_000), '?a'.repeat(30_000), '&a=&'.repeat(20_000)]) {
      withoutSecretQueries(text)
      withoutSecretParameters(text)
    }
    expect(performance.now() - started).toBeLessThan(3_000)
  })
})
