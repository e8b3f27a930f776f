import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { AirgapError } from '../../src/core/errors.ts'
import { orasCopy, orasPushBlob, orasPushManifest, orasVersion } from '../../src/remote/oras.ts'
import { failure } from './support/clients.ts'

const { signal } = new AbortController()

/** A program in the place of oras: what it does with our arguments is the script's. */
function program(script: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'airgap-oras-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'oras')
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

describe('running the oras CLI', () => {
  it('reads its version', async () => {
    const oras = { program: program('echo "Version:        1.3.0"'), plainHttp: false, signal }
    expect(await orasVersion(oras)).toBe('1.3.0')
  })

  it('the error for a missing program includes how to get it', async () => {
    const oras = { program: '/nonexistent/oras', plainHttp: false, signal }
    const error = await orasVersion(oras).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'TOOL_MISSING',
      exitCode: 7,
      next: expect.stringContaining('--oras'),
    })
  })

  it('passes arguments as arguments, never as a command', async () => {
    const echo = program('printf "%s\\n" "$@" >&2; exit 1')
    const oras = { program: echo, plainHttp: true, registryConfig: '/x/config.json', signal }
    const copy = { from: '/bundle.tar@sha256:abc', to: 'r.example/a/b:$(touch x);' }
    const error = await failure(orasCopy(oras, copy), 'UPSTREAM')
    expect(error.likely).toContain('r.example/a/b:$(touch x);')
    expect(error.item).toBe(copy.to)
    const push = { mediaType: 'application/x', to: 'r.example/a/b:1', body: Readable.from(['{}']) }
    await failure(orasPushManifest(oras, push), 'UPSTREAM')
  })

  it.each([
    ['a program of another kind', 'exit 0'],
    ['a program that fails', 'exit 3'],
    ['an old one', 'echo "Version:        1.1.0"'],
  ])('%s is a missing tool', async (_, script) => {
    const error = await failure(
      orasVersion({ program: program(script), plainHttp: false, signal }),
      'TOOL_MISSING',
    )
    expect(error.next).toContain('setup --with-oras')
  })

  it.each([
    ['401 unauthorized', 'UNAUTHORIZED', 'login'],
    ['response status code 403: denied', 'UNAUTHORIZED', 'login'],
    ['basic credential not found', 'UNAUTHORIZED', 'login'],
    ['dial tcp: lookup r.example on 192.0.2.1:53: no such host', 'DNS_FAILED', 'spelling'],
    ['dial tcp 127.0.0.1:9: connect: connection refused', 'NETWORK', 'it is running'],
    ['http: server gave HTTP response to HTTPS client', 'TLS_FAILED', '--plain-http'],
    ['Client sent an HTTP request to an HTTPS server', 'TLS_FAILED', 'remove --plain-http'],
    [
      'tls: failed to verify certificate: x509: certificate signed by unknown authority',
      'TLS_FAILED',
      '--ca-file',
    ],
    ['unsupported: the server is read-only', 'METHOD_NOT_ALLOWED', 'accepts content'],
    ['failed to tag 1: manifest blob unknown: blob unknown to registry', 'UNSUPPORTED', 'log'],
    ['response status code 507', 'UPSTREAM', 'add space'],
    ['unknown: filesystem: write /data/x: no space left on device', 'UPSTREAM', 'add space'],
    [
      'denied: adding 29.0 MiB of storage will exceed the configured upper limit of 10.0 MiB.',
      'UPSTREAM',
      'raise the quota of the project a ',
    ],
    ['precondition: will exceed the configured upper limit of 10.0 MiB', 'UPSTREAM', 'raise the quota'],
    ['denied: quota has been exceeded on namespace', 'UPSTREAM', 'raise the quota'],
    [
      'PUT "http://r.example/v2/a/x": response status code 413: Request Entity Too Large',
      'UPSTREAM',
      'client_max_body_size',
    ],
    [
      "name unknown: The repository with name 'a' does not exist in the registry",
      'UPSTREAM',
      'create it there',
    ],
    ['not found: project a not found', 'UPSTREAM', 'the project a;'],
    [
      'recognizable error message not found: POST "http://r.example/v2/": response status code 404: Not Found',
      'UPSTREAM',
      'create it',
    ],
    [
      "precondition: Failed to process request due to 'a:1' configured as immutable.",
      'UPSTREAM',
      'delete the tag',
    ],
    ["tag invalid: The image tag '1' already exists and cannot be overwritten", 'UPSTREAM', 'delete the tag'],
    [
      'denied: The system is in read only mode. Any modification is prohibited.',
      'UPSTREAM',
      'read-only mode',
    ],
    [
      'recognizable error message not found: x: response status code 503: Service Unavailable',
      'UPSTREAM',
      'maintenance',
    ],
    ['toomanyrequests: rate exceeded', 'UPSTREAM', '--jobs 1'],
    ['response status code 502: Bad Gateway', 'UPSTREAM', 'behind the proxy'],
    // names are no words of the message
    ['HEAD "http://r.example/v2/quota/read-only": response status code 403', 'UNAUTHORIZED', 'login'],
    ['recognizable error message not found: x: response status code 403: Forbidden', 'UNAUTHORIZED', 'login'],
    // digests hold any three digits
    ['HEAD /v2/a/blobs/sha256:401403: response status code 500', 'UPSTREAM', 'has free space'],
    ['open /x/config.json: permission denied', 'UPSTREAM', 'same command'],
  ] as const)('%s is %s', async (said, code, next) => {
    const oras = { program: program(`echo "Error: ${said}" >&2; exit 1`), plainHttp: false, signal }
    const error = await failure(orasCopy(oras, { from: 'x@y', to: 'r.example/a:1' }), code)
    expect(error.next).toContain(next)
    expect(error.item).toBe('r.example/a:1')
  })

  it.each([
    ['Put "http://own.example/v2/a/blobs/x": dial tcp: lookup own.example: no such host', 'DNS_FAILED'],
    [
      'HEAD "https://r.example/v2/a": Get "https://own.example:8443/token": dial tcp 10.0.0.1:8443: connect: connection refused',
      'NETWORK',
    ],
    [
      'Patch "https://own.example/v2/a": tls: failed to verify certificate: x509: unknown authority',
      'TLS_FAILED',
    ],
  ] as const)('a registry that has another name for itself is reported: %s', async (said, code) => {
    const oras = { program: program(`echo '${said}' >&2; exit 1`), plainHttp: false, signal }
    const error = await failure(orasCopy(oras, { from: 'x@y', to: 'r.example/a:1' }), code)
    expect(error.message).toMatch(/refers to another host: own\.example(:8443)?$/)
    expect(error.next).toContain('external_url')
  })

  it('fault 97: reports messages of oras without passwords and signed queries', async () => {
    const said = 'PUT https://me:pass-word@store.example/x?sig=abcdef&state=ghijkl: response status code 500'
    const oras = { program: program(`echo '${said}' >&2; exit 1`), plainHttp: false, signal }
    const { likely } = await failure(orasCopy(oras, { from: 'x@y', to: 'r.example/a:1' }), 'UPSTREAM')
    expect(likely).toBe('PUT https://store.example/x?sig=…&state=… response status code 500')
  })

  it('sends content to stdin, and accepts that none is read', async () => {
    const echo = program('cat >&2; exit 1')
    const push = { to: 'r.example/a@sha256:b', size: 5, body: Readable.from(['hello']) }
    const error = await failure(orasPushBlob({ program: echo, plainHttp: false, signal }, push), 'UPSTREAM')
    expect(error.likely).toBe('hello')
    const body = Readable.from(Array.from({ length: 100 }, () => 'x'.repeat(65_536)))
    const deaf = { program: program('exit 0'), plainHttp: false, signal }
    await orasPushBlob(deaf, { to: 'r.example/a@sha256:b', size: 6_553_600, body })
    expect(body.destroyed).toBe(true)
  })

  it('reports damaged content, whatever oras prints', async () => {
    const body = Readable.from(
      (async function* () {
        yield 'half'
        throw new AirgapError('DIGEST_MISMATCH', 'damaged', { item: 'x', likely: 'y', next: 'z' })
      })(),
    )
    const oras = { program: program('cat >/dev/null; exit 1'), plainHttp: false, signal }
    await failure(orasPushBlob(oras, { to: 'r.example/a@sha256:b', size: 9, body }), 'DIGEST_MISMATCH')
  })

  it('ends with the signal', async () => {
    const stop = new AbortController()
    const oras = { program: program('exec sleep 30'), plainHttp: false, signal: stop.signal }
    const running = orasVersion(oras)
    stop.abort()
    await expect(running).rejects.toMatchObject({ name: 'AbortError' })
  })
})
