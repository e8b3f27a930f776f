import { spawn } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { printRotation } from '../../../src/signature/rotation.ts'
import { hasTool } from '../../bundle/has-tool.ts'
import { sign, sshTestKey, strip, writeStatedBundle } from '../../deploy/support/signed-bundle.ts'
import { buildProgram, run, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

const launcherless = { node: 'not really node' }

/** A site with a bundle that the first key signed. */
async function signedSite() {
  const site = await testSite()
  const [first, second, third] = ['first', 'second', 'third'].map(name => sshTestKey(site.work, name))
  // without a launcher: the servers are started by the program of this test
  await writeStatedBundle(site.bundle, { files: launcherless })
  sign(site.bundle, first!)
  const keys = (...words: string[]) => run(['keys', ...words, '--site', site.site])
  const keysJson = async () => JSON.parse((await keys('list', '-o', 'json')).stdout).keys
  return { ...site, first: first!, second: second!, third: third!, keys, keysJson }
}

const reported = ({ stderr }: { stderr: string }) => stderr.match(/^error ([A-Z_]+): /m)?.[1]

describe.skipIf(!hasTool('ssh-keygen'))(
  'offline-deploy keys (needs ssh-keygen)',
  { timeout: 120_000 },
  () => {
    it('adds, lists and removes keys, each change confirmed, and sets the threshold', async () => {
      const { keys, keysJson, first, second } = await signedSite()
      expect((await keys('list')).stdout).toContain('has no keys yet')
      // nobody can be asked here
      expect(await keys('add', first.publicFile)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(first.key.words),
      })
      expect((await keys('list')).stdout).toContain('has no keys yet')
      expect(await keys('add', first.publicFile, '--dry-run')).toMatchObject({ code: 0 })
      expect((await keys('list')).stdout).toContain('has no keys yet')
      expect(await keys('add', first.publicFile, '--name', 'release-2026', '--yes')).toMatchObject({
        code: 0,
      })
      expect(await keys('remove', 'release-2026', '--yes')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('it is the only key of this site'),
      })
      expect(await keys('add', second.publicFile, '--yes')).toMatchObject({ code: 0 })
      expect(await keys('add', second.publicFile, '--yes')).toMatchObject({ code: 2 })
      expect(await keys('threshold', '3', '--yes')).toMatchObject({ code: 2 })
      expect(await keys('threshold', '2', '--yes')).toMatchObject({ code: 0 })
      expect(await keysJson()).toMatchObject({
        threshold: 2,
        keys: [
          { name: 'release-2026', fingerprint: first.key.fingerprint, how: 'confirmed' },
          { name: second.key.id },
        ],
      })
      expect(await keys('remove', 'release-2026', '--yes')).toMatchObject({ code: 2 })
      await keys('threshold', '1', '--yes')
      expect(await keys('remove', first.key.short, '--yes')).toMatchObject({ code: 0 })
      expect(await keysJson()).toMatchObject({
        keys: [{ name: second.key.id }],
        retired: [{ name: 'release-2026' }],
      })
      const text = (await keys('list')).stdout
      expect(text).toContain('signatures required: 1 of 1')
      expect(text).toContain(second.key.words)
    })

    it('rotates keys: by the present key, not by the new one, and not twice', async () => {
      const { work, keys, keysJson, first, second } = await signedSite()
      await keys('add', first.publicFile, '--yes')
      const file = join(work, 'keys.rotation')
      await writeFile(file, printRotation({ made: '2026-11-01T00:00:00Z', threshold: 1, keys: [second.key] }))
      expect(reported(await keys('rotate', file))).toBe('UNTRUSTED')
      second.sign(file)
      const byNew = await keys('rotate', file)
      expect(byNew).toMatchObject({ code: 6, stderr: expect.stringContaining(second.key.short) })
      expect(reported(byNew)).toBe('UNTRUSTED')
      await rm(`${file}.sig`)
      first.sign(file)
      expect(await keys('rotate', file, '--dry-run')).toMatchObject({ code: 0 })
      expect(await keys('rotate', file)).toMatchObject({ code: 0 })
      expect(await keysJson()).toMatchObject({
        keys: [{ fingerprint: second.key.fingerprint, how: 'rotation' }],
        retired: [{ fingerprint: first.key.fingerprint, how: 'rotation' }],
      })
      // the old key is worth nothing now
      const again = await keys('rotate', file)
      expect(again).toMatchObject({ code: 6, stderr: expect.stringContaining('no longer trusts') })
      await writeFile(file, 'x')
      expect(reported(await keys('rotate', file))).toBe('SIGNATURE_INVALID')
    })

    it('refuses a file that is no public key, and an edited record, with exit codes 2 and 6', async () => {
      const { site, bundle, work, keys, first } = await signedSite()
      expect(reported(await keys('add', bundle, '--yes'))).toBe('KEY_INVALID')
      expect(await keys('add', join(work, 'first'), '--yes')).toMatchObject({ code: 2 })
      expect(reported(await keys('add', join(work, 'none.pub'), '--yes'))).toBe('FILE_NOT_FOUND')
      await keys('add', first.publicFile, '--yes')
      const path = join(site, 'trust.json')
      await writeFile(path, (await readFile(path, 'utf8')).replace('"confirmed"', '"rotation"'))
      for (const ran of [await keys('list'), await run(['verify', bundle, '--site', site])]) {
        expect(ran).toMatchObject({ code: 6 })
        expect(reported(ran)).toBe('TRUST_INVALID')
      }
    })
  },
)

/** Runs the program on a terminal of its own (script(1)), and types each answer when its question is there. */
async function onTerminal(args: string[], answers: readonly [question: RegExp, answer: string][]) {
  const words = [process.execPath, program.path, ...args].map(word => `'${word}'`).join(' ')
  const child = spawn('script', ['-qec', words, '/dev/null'], {
    cwd: '/',
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let output = ''
  const left = [...answers]
  child.stdout.on('data', chunk => {
    output += chunk
    const [question, answer] = left[0] ?? []
    if (question === undefined || !question.test(output)) return
    left.shift()
    child.stdin.write(`${answer}\n`)
  })
  const code = await new Promise<number | null>(done => child.once('close', done))
  return { code, output }
}

describe.skipIf(!hasTool('ssh-keygen') || !hasTool('script'))(
  'the first signed bundle (needs ssh-keygen and script)',
  { timeout: 120_000 },
  () => {
    it('shows the fingerprint and the words of its key on the terminal, and asks once', async () => {
      const { options, first, keysJson } = await signedSite()
      const apply = ['apply', '--yes', '--copy-bundle', ...options]
      const declined = await onTerminal(apply, [[/Are they the same\?/, 'n']])
      expect(declined.code).toBe(6)
      expect(declined.output).toContain(first.key.words)
      expect(declined.output).toContain(first.key.short)
      expect(declined.output).toContain('error UNTRUSTED: the key of the bundle was not confirmed')
      expect(await keysJson()).toBeNull()
      const applied = await onTerminal(apply, [[/Are they the same\?/, 'y']])
      expect(applied.code, applied.output).toBe(0)
      expect(applied.output.match(/Call the person who built the bundle/g)).toHaveLength(1)
      expect(await keysJson()).toMatchObject({ threshold: 1, keys: [{ fingerprint: first.key.fingerprint }] })
      // it is known now: nobody is asked again
      expect((await onTerminal(apply, [])).code).toBe(0)
    })
  },
)

describe.skipIf(!hasTool('ssh-keygen'))('a signed bundle (needs ssh-keygen)', { timeout: 120_000 }, () => {
  it('is installed with --trust-key, which pins the key; status, receipt and support bundle record it', async () => {
    const { work, site, bundle, options, first, second, keysJson } = await signedSite()
    expect((await run(['verify', bundle, '--site', site])).stdout).toContain(
      'which nobody has confirmed at this site',
    )
    const unattended = await run(['apply', '--yes', ...options])
    expect(unattended).toMatchObject({ code: 2, stderr: expect.stringContaining('--trust-key FINGERPRINT') })
    const wrong = await run(['apply', '--yes', ...options, '--trust-key', second.key.short])
    expect(wrong).toMatchObject({ code: 6 })
    const applied = await run(['apply', '--yes', '--copy-bundle', ...options, '--trust-key', first.key.short])
    expect(applied).toMatchObject({ code: 0 })
    expect(await keysJson()).toMatchObject({ keys: [{ fingerprint: first.key.fingerprint }] })

    const status = await run(['status', '--site', site])
    expect(status.stdout).toContain(`signed  by ${first.key.id}`)
    expect(status.stdout).toContain('1 of 1 must sign')
    const json = JSON.parse((await run(['status', '--site', site, '-o', 'json'])).stdout)
    expect(json.bundles[0].trust).toMatchObject({ by: 'known', signedBy: [{ name: first.key.id }] })
    expect(json.bundles[0].trust.accepted.by).not.toBe('')
    // the copy has its signatures next to it
    const copy = json.bundles[0].path
    expect(copy.startsWith(join(site, 'bundles'))).toBe(true)
    expect(await readFile(`${copy}.sums`)).toEqual(await readFile(`${bundle}.sums`))
    expect(await readFile(`${copy}.sums.sig`)).toEqual(await readFile(`${bundle}.sums.sig`))
    const receipt = JSON.parse((await run(['receipt', '--site', site, '-o', 'json'])).stdout)
    expect(receipt).toMatchObject({
      bundles: [{ signedBy: [first.key.fingerprint] }],
      trust: { threshold: 1, keys: [first.key.fingerprint] },
    })
    const archive = join(work, 'support.tar.gz')
    expect(await run(['support-bundle', '--site', site, '--out', archive])).toMatchObject({ code: 0 })

    // the next bundle: unsigned, of another key, older, good
    const offer = async (version: string, key?: typeof first) => {
      await writeStatedBundle(bundle, { version, built: '2026-11-02T00:00:00Z', files: launcherless })
      if (key === undefined) strip(bundle)
      else sign(bundle, key)
      const verified = await run(['verify', bundle, '--site', site])
      const applied = await run(['apply', '--dry-run', ...options])
      expect(applied).toMatchObject({ code: verified.code, stderr: expect.any(String) })
      return reported(verified) ?? verified.code
    }
    expect(await offer('2.0.0')).toBe('UNTRUSTED')
    expect(await offer('2.0.0', second)).toBe('UNTRUSTED')
    expect(await offer('0.9.0', first)).toBe('ROLLBACK')
    expect(await offer('2.0.0', first)).toBe(0)
  })
})
