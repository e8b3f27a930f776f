import { spawnSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { acquireProcessLock, lockHolder } from '../../src/core/process-lock.ts'
import { startBackground, stopHolder } from '../../src/install/background.ts'
import { httpGet } from '../../src/install/http-get.ts'
import { stepKey } from '../../src/install/step.ts'
import { checkStep } from '../../src/install/steps/check.ts'
import { serveStep } from '../../src/install/steps/serve.ts'
import { proofPath, proveServer, type SiteServer } from '../../src/site/server-proof.ts'
import { tempFolder, testContext } from './support.ts'

async function listening(handler: RequestListener): Promise<string> {
  const server: Server = createServer(handler)
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise(done => server.close(done))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const { privateKey: key } = generateKeyPairSync('ed25519')

/** Both servers of a site, which prove who they are and describe themselves. */
async function siteServers(description: object, by: KeyObject = key): Promise<Record<SiteServer, string>> {
  const body = JSON.stringify(description)
  const serve = async (server: SiteServer) =>
    await listening((request, answer) => {
      const { pathname, searchParams } = new URL(request.url!, 'http://x')
      if (pathname !== proofPath) return answer.end(body)
      const { localAddress, localPort } = request.socket
      const claim = {
        site: 'ours',
        server,
        description: server === 'http' ? digestOf(body) : '',
        address: `${localAddress} ${localPort}`,
        nonce: searchParams.get('nonce')!,
      }
      return answer.end(JSON.stringify(proveServer(by, claim)))
    })
  return { registry: await serve('registry'), http: await serve('http') }
}

const clients = 'sha256:of the client files'
const expected = {
  site: 'ours',
  bundles: ['sha256:1'],
  registry: '127.0.0.1:1',
  httpServer: 'http://127.0.0.1:2',
}

const nothing = { registry: 'http://127.0.0.1:1', http: 'http://127.0.0.1:1' }

async function stepFor(command: string[], urls: Record<SiteServer, string> = nothing, digest = clients) {
  const folder = await tempFolder()
  const options = {
    command,
    expected,
    clients: async () => digest,
    servers: { site: 'ours', key: async () => key, ca: async () => undefined, urls, direct: true },
    verify: 'once',
    listens: [],
    reload: async () => 'not running' as const,
    lock: join(folder, 'serve.lock'),
    log: join(folder, 'serve.log'),
  }
  return { ...options, step: serveStep(options) }
}

async function script(text: string): Promise<string> {
  const path = join(await tempFolder(), 'program')
  await writeFile(path, `#!/bin/sh\n${text}\n`)
  await chmod(path, 0o755)
  return path
}

describe('the serve step', () => {
  it('is done where the site’s own servers answer, and starts nothing', async () => {
    const urls = await siteServers({ ...expected, clients })
    const { step } = await stepFor(['/nonexistent'], urls)
    expect(await step.check(testContext())).toBe('done')
    await step.apply(testContext())
  })

  it('is not done where another program repeats what the servers once said, or has another key', async () => {
    const body = JSON.stringify({ ...expected, clients })
    const replaying = await listening((_, answer) => answer.end(body))
    const ours = await siteServers({ ...expected, clients })
    const { privateKey: other } = generateKeyPairSync('ed25519')
    for (const urls of [
      { registry: replaying, http: replaying },
      { ...ours, registry: replaying },
      { ...ours, http: replaying },
      await siteServers({ ...expected, clients }, other),
    ]) {
      const { step } = await stepFor(['/nonexistent'], urls)
      expect(await step.check(testContext())).toBe('pending')
    }
  })

  it('runs again where a client file has changed since the servers started', async () => {
    const urls = await siteServers({ ...expected, clients })
    const { step: before } = await stepFor(['/nonexistent'], urls)
    const { step } = await stepFor(['/nonexistent'], urls, 'sha256:of other client files')
    expect(await stepKey(step)).not.toBe(await stepKey(before))
    expect(await step.check(testContext())).toBe('pending')
    await expect(step.apply(testContext())).rejects.toMatchObject({ item: '/nonexistent' })
  })

  it('neither accepts nor stops the servers of another site', async () => {
    const http = await listening((_, answer) => answer.end(JSON.stringify({ ...expected, site: 'theirs' })))
    const { step } = await stepFor(['/nonexistent'], { registry: http, http })
    expect(await step.check(testContext())).toBe('pending')
    await expect(step.apply(testContext())).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      next: expect.stringContaining('--site'),
    })
  })

  it.each(['not JSON', 'null', '[]', '{}', '{"site":1,"bundles":"x"}'])(
    'is not confused by an answer of %j',
    async body => {
      const http = await listening((_, answer) => answer.end(body))
      const { step } = await stepFor(['/nonexistent'], { registry: http, http })
      expect(await step.check(testContext())).toBe('pending')
    },
  )

  it('fault 102: reports a missing program', async () => {
    const { step } = await stepFor(['/nonexistent/program'])
    await expect(step.apply(testContext())).rejects.toMatchObject({
      code: 'STEP_FAILED',
      exitCode: 8,
      item: '/nonexistent/program',
    })
  })

  it('fault 102: reports a program that prints binary and exits', async () => {
    const { step, log } = await stepFor([
      await script('head -c 20000 /dev/urandom; printf "\\033[2Jlast words\\n"; exit 3'),
    ])
    await expect(step.apply(testContext())).rejects.toMatchObject({
      code: 'STEP_FAILED',
      message: expect.stringContaining('exit code 3'),
      item: log,
    })
  })

  it('throws the error of the program that it started, with its exit code', async () => {
    const error = {
      error: {
        code: 'PORT_IN_USE',
        exit: 7,
        message: 'port 5000 is in use',
        item: 'x',
        likely: 'y',
        next: 'z',
      },
    }
    const { step } = await stepFor([await script(`echo '${JSON.stringify(error)}' >&2; exit 7`)])
    await expect(step.apply(testContext())).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      exitCode: 7,
      message: 'port 5000 is in use',
      next: 'z',
    })
  })

  it('does not believe an error in another program’s output', async () => {
    const { step } = await stepFor([
      await script(`echo '{"error":{"code":"__proto__","message":1}}' >&2; exit 7`),
    ])
    await expect(step.apply(testContext())).rejects.toMatchObject({ code: 'STEP_FAILED' })
  })

  it('fault 102: ends a program that hangs when the operator interrupts', async () => {
    const pidFile = join(await tempFolder(), 'pid')
    const { step } = await stepFor([await script(`echo $$ > ${pidFile}; exec sleep 60`)])
    const stop = new AbortController()
    const applying = step.apply({ ...testContext(), signal: stop.signal })
    let pid = ''
    while (pid === '') {
      await new Promise(go => setTimeout(go, 20))
      pid = (await readFile(pidFile, 'utf8').catch(() => '')).trim()
    }
    stop.abort(new DOMException('stopped', 'AbortError'))
    await expect(applying).rejects.toMatchObject({ name: 'AbortError' })
    for (
      let tries = 0;
      spawnSync('ps', ['-o', 'stat=', '-p', pid], { encoding: 'utf8' }).stdout.match(/^[^Z\s]/);
      tries++
    ) {
      expect(tries).toBeLessThan(100)
      await new Promise(go => setTimeout(go, 50))
    }
  })
})

describe('stopHolder', () => {
  it('ends a program that holds the lock and ignores SIGTERM', async () => {
    const folder = await tempFolder()
    const lock = join(folder, 'lock')
    const source = `import { acquireProcessLock } from ${JSON.stringify(new URL('../../src/core/process-lock.ts', import.meta.url).href)}
      process.on('SIGTERM', () => {})
      await acquireProcessLock(${JSON.stringify(lock)}, 'a test')
      setInterval(() => {}, 1000)`
    await writeFile(join(folder, 'holder.mts'), source)
    await startBackground([process.execPath, join(folder, 'holder.mts')], { log: join(folder, 'log') })
    while ((await lockHolder(lock)) === undefined) await new Promise(go => setTimeout(go, 20))
    const { signal } = testContext()
    expect(await stopHolder(lock, { signal, politeMs: 200 })).toBe('stopped')
    expect(await stopHolder(lock, { signal })).toBe('not running')
  })

  it('never ends a process that has the id of a dead one', async () => {
    const lock = join(await tempFolder(), 'lock')
    const held = await acquireProcessLock(lock, 'a test')
    const text = await readFile(lock, 'utf8')
    await held.release()
    // this very process, but started at another time: a number that was given again
    await writeFile(lock, JSON.stringify({ ...JSON.parse(text), started: '1' }))
    expect(await stopHolder(lock, { signal: testContext().signal })).toBe('not running')
  })
})

describe('the check step', () => {
  const body = 'content'
  const descriptor = { mediaType: 'text/plain', digest: digestOf(body), size: body.length }

  it('succeeds with the right bytes', async () => {
    const url = await listening((_, answer) => answer.end(body))
    await checkStep({ requests: [{ url, expected: descriptor }, { url }] }).apply(testContext())
  })

  it('fails with exit code 6 on wrong bytes', async () => {
    const url = await listening((_, answer) => answer.end('c0ntent'))
    await expect(
      checkStep({ requests: [{ url, expected: descriptor }] }).apply(testContext()),
    ).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', exitCode: 6 })
  })

  it('fails on an error page, a truncated answer and no answer', async () => {
    const page = await listening((_, answer) => answer.writeHead(502).end('proxy'))
    await expect(checkStep({ requests: [{ url: page }] }).apply(testContext())).rejects.toMatchObject({
      code: 'STEP_FAILED',
      exitCode: 8,
    })
    const short = await listening((_, answer) => {
      answer.writeHead(200, { 'content-length': 100 })
      answer.write('x', () => answer.destroy())
    })
    await expect(httpGet(short, testContext())).rejects.toMatchObject({ code: 'NETWORK' })
    await expect(httpGet('http://127.0.0.1:1/', testContext())).rejects.toMatchObject({
      code: 'NETWORK',
      likely: 'nothing listens there',
    })
  })

  it('gives up a server that never answers', async () => {
    const url = await listening(() => {})
    await expect(httpGet(url, { ...testContext(), timeoutMs: 100 })).rejects.toMatchObject({
      code: 'NETWORK',
      message: expect.stringContaining('0.1 s'),
    })
  })
})
