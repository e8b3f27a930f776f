import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { orasCopy, orasPushManifest, orasVersion } from '../../src/remote/oras.ts'
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

  it('a missing program says how to get it', async () => {
    const oras = { program: '/nonexistent/oras', plainHttp: false, signal }
    const error = await orasVersion(oras).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'TOOL_MISSING',
      exitCode: 7,
      next: expect.stringContaining('--oras'),
    })
  })

  it('arguments are arguments, never a command', async () => {
    const echo = program('printf "%s\\n" "$@" >&2; exit 1')
    const oras = { program: echo, plainHttp: true, registryConfig: '/x/config.json', signal }
    const copy = { from: '/bundle.tar@sha256:abc', to: 'r.example/a/b:$(touch x);' }
    const error = await failure(orasCopy(oras, copy), 'UPSTREAM')
    expect(error.likely).toContain('r.example/a/b:$(touch x);')
    const push = { file: '/m.json', mediaType: 'application/x', to: 'r.example/a/b:1' }
    await failure(orasPushManifest(oras, push), 'UPSTREAM')
  })

  it.each(['401 unauthorized', 'response status code 403: denied'])('%s is about the login', async said => {
    const oras = { program: program(`echo "Error: ${said}" >&2; exit 1`), plainHttp: false, signal }
    const error = await failure(orasCopy(oras, { from: 'x@y', to: 'r.example/a:1' }), 'UNAUTHORIZED')
    expect(error.next).toContain('login')
  })

  it('ends with its signal', async () => {
    const stop = new AbortController()
    const oras = { program: program('exec sleep 30'), plainHttp: false, signal: stop.signal }
    const running = orasVersion(oras)
    stop.abort()
    await expect(running).rejects.toMatchObject({ name: 'AbortError' })
  })
})
