import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasTool } from '../bundle/has-tool.ts'

/** A signed bundle on its way to a new site, as the field engineer types it, with the tools of a stock Debian; and every way to tamper with it. */

const dist = resolve(import.meta.dirname, '..', '..', 'dist')
const tools = ['minisign', 'ssh-keygen', 'tar', 'sha256sum'].every(hasTool)

let work: string
/** a folder like a disk: bundle, sums, signatures, and the sheet that goes another way */
let disk: string
let key: string
let fingerprint: string

function sh(script: string, cwd: string, env: Record<string, string> = {}) {
  return spawnSync('/bin/sh', ['-ec', script], {
    cwd,
    encoding: 'utf8',
    timeout: 120_000,
    env: { PATH: process.env['PATH'] ?? '', HOME: work, AIRGAP_NODE_RUNTIME: join(work, 'node'), ...env },
  })
}

function airgap(words: string, cwd = work) {
  const ran = sh(`'${process.execPath}' '${join(dist, 'airgap.mjs')}' ${words}`, cwd)
  expect(ran.status, ran.stderr).toBe(0)
  return ran
}

async function writeStack(folder: string, { text = 'a file', version = '1.0.0' } = {}): Promise<void> {
  await mkdir(join(folder, 'tree'), { recursive: true })
  await writeFile(join(folder, 'tree', 'a.txt'), text)
  await writeFile(
    join(folder, 'stack.yaml'),
    `apiVersion: airgap/v1\nname: stack\nversion: ${version}\ntrees: [{name: site, from: tree}]\n`,
  )
}

/** Builds a bundle, signed with the key of that name, else unsigned. */
async function deliver(folder: string, options: { text?: string; version?: string; key?: string } = {}) {
  await writeStack(folder, options)
  const signing = options.key === undefined ? '' : `--sign-key '${join(work, `${options.key}.key`)}'`
  airgap('lock -f stack.yaml --cache ../cache', folder)
  airgap(`build -f stack.yaml --cache ../cache --frozen --out stack.tar ${signing}`, folder)
  return folder
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise(done => server.close(done))
  return typeof address === 'object' && address !== null ? address.port : 0
}

beforeAll(async () => {
  if (!tools) return
  work = await mkdtemp(join(tmpdir(), 'airgap-delivery-'))
  // the real one has 120 MB, and is not tested here
  await writeFile(join(work, 'node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 })
  for (const name of ['release', 'attacker']) airgap(`keygen --no-password --out ${name}`)
  key = (await readFile(join(work, 'release.pub'), 'utf8')).split('\n')[1]!
  fingerprint = JSON.parse(airgap('keygen --no-password --out other -o json').stdout).fingerprint
  disk = await deliver(join(work, 'disk'), { key: 'release' })
})
afterAll(async () => {
  if (work !== undefined) await rm(work, { recursive: true, force: true })
})

/** A copy of the disk that somebody could change on its way. */
async function tampered(): Promise<string> {
  const folder = await mkdtemp(join(work, 'usb-'))
  for (const name of await readdir(disk))
    if (name.startsWith('stack.tar')) await cp(join(disk, name), join(folder, name))
  return folder
}

interface Chain {
  /** the step that refused, or `done` */
  stopped: 'signature' | 'sums' | 'verify' | 'apply' | 'done'
  output: string
}

/** What the sheet says to type, on a host that has nothing yet. */
async function typeChain(usb: string, { ssh = false } = {}): Promise<Chain & { opt: string }> {
  const opt = await mkdtemp(join(work, 'opt-'))
  const env = { B: join(usb, 'stack.tar'), S: 'stack.tar.sums' }
  const steps: [Exclude<Chain['stopped'], 'done'>, string][] = [
    [
      'signature',
      `mkdir offline-deploy && cp "$B".sums* . && ${
        ssh
          ? `ssh-keygen -Y verify -f '${join(work, 'release.allowed_signers')}' -I airgap -n astrago-airgap -s "$S".sig < "$S"`
          : `minisign -V -m "$S" -P ${key}`
      }`,
    ],
    [
      'sums',
      `for f in index.json $(grep -o 'offline-deploy/[^ /]*$' "$S"); do tar -xOf "$B" --occurrence=1 "$f" > "$f"; done; sha256sum -c "$S"`,
    ],
    [
      'verify',
      'chmod 755 offline-deploy/*; OFFLINE_DEPLOY_EXPECT=$(grep -o "sha256:.*" "$S") offline-deploy/offline-deploy verify --bundle "$B" --site ./site',
    ],
    [
      'apply',
      `offline-deploy/offline-deploy apply --dry-run --bundle "$B" --site ./site --address 127.0.0.1 --node-root none --trust-key '${join(work, 'release.pub')}'`,
    ],
  ]
  let output = ''
  for (const [step, script] of steps) {
    const ran = sh(script, opt, env)
    output += `${ran.stdout}${ran.stderr}`
    if (ran.status !== 0) return { stopped: step, output, opt }
  }
  return { stopped: 'done', output, opt }
}

describe.skipIf(!tools)(
  'a signed bundle on a new site (needs minisign and ssh-keygen and sha256sum)',
  { timeout: 240_000 },
  () => {
    it.each([
      ['minisign', false],
      ['ssh-keygen', true],
    ])('is checked with %s, unpacked by name, verified and planned', async (_, ssh) => {
      const { stopped, output, opt } = await typeChain(disk, { ssh })
      expect(stopped, output).toBe('done')
      expect(output).toContain(
        ssh ? 'Good "astrago-airgap" signature' : 'Signature and comment signature verified',
      )
      expect(output).toContain('offline-deploy/node: OK')
      // the program of the bundle says that it cannot vouch for itself, and what to type
      expect(output).toContain('it cannot vouch for itself')
      expect(output).toContain(`minisign -V -m ${join(disk, 'stack.tar.sums')}`)
      // nothing but the named files
      expect((await readdir(join(opt, 'offline-deploy'))).sort()).toEqual([
        'node',
        'offline-deploy',
        'offline-deploy.mjs',
      ])
    })

    it('is installed, and the site trusts its key from then on', async () => {
      const { opt } = await typeChain(disk)
      const [registry, http] = [await freePort(), await freePort()]
      const options = `--site ./site --bundle '${join(disk, 'stack.tar')}'`
      const servers = `--address 127.0.0.1 --listen 127.0.0.1 --registry-port ${registry} --http-port ${http} --node-root none`
      const program = 'offline-deploy/offline-deploy'
      try {
        const applied = sh(
          `${program} apply --yes ${options} ${servers} --trust-key '${join(work, 'release.pub')}'`,
          opt,
        )
        expect(applied.status, applied.stderr).toBe(0)
        expect(sh(`${program} status --site ./site`, opt).stdout).toContain('1 of 1 must sign')
        const evil = await deliver(join(work, 'evil-0'), { version: '1.1.0', key: 'attacker' })
        const next = sh(
          `${program} apply --yes --bundle '${join(evil, 'stack.tar')}' --site ./site ${servers}`,
          opt,
        )
        expect(next).toMatchObject({ status: 6, stderr: expect.stringContaining('error UNTRUSTED') })
      } finally {
        expect(sh(`${program} stop --site ./site`, opt).status).toBe(0)
      }
    })

    it('stops at the signature where the bundle was rebuilt by somebody else, with sums of their own', async () => {
      const usb = await deliver(join(work, 'evil'), { text: 'evil', key: 'attacker' })
      expect(await typeChain(usb)).toMatchObject({ stopped: 'signature' })
      expect(await typeChain(usb, { ssh: true })).toMatchObject({ stopped: 'signature' })
    })

    it('stops at the signature where sums and bundle were replaced together under the old signature', async () => {
      const usb = await tampered()
      const evil = await deliver(join(work, 'evil-2'), { text: 'evil' })
      for (const name of ['stack.tar', 'stack.tar.sums']) await cp(join(evil, name), join(usb, name))
      expect(await typeChain(usb)).toMatchObject({ stopped: 'signature' })
    })

    it('stops at the sums where the bundle alone was replaced', async () => {
      const usb = await tampered()
      const evil = await deliver(join(work, 'evil-3'), { text: 'evil' })
      await cp(join(evil, 'stack.tar'), join(usb, 'stack.tar'))
      const { stopped, output } = await typeChain(usb)
      expect(stopped).toBe('sums')
      expect(output).toContain('index.json: FAILED')
    })

    it('stops at the signature where it was removed', async () => {
      const usb = await tampered()
      for (const name of await readdir(usb)) if (/\.sums\./.test(name)) await rm(join(usb, name))
      expect(await typeChain(usb)).toMatchObject({ stopped: 'signature' })
    })

    it('never unpacks a second offline-deploy/node; verify refuses the tar', async () => {
      const usb = await tampered()
      await mkdir(join(work, 'payload', 'offline-deploy'), { recursive: true })
      await writeFile(join(work, 'payload', 'offline-deploy', 'node'), '#!/bin/sh\ntouch pwned\n', {
        mode: 0o755,
      })
      expect(sh(`tar -rf '${join(usb, 'stack.tar')}' -C payload offline-deploy/node`, work).status).toBe(0)
      const { stopped, output, opt } = await typeChain(usb)
      expect(stopped, output).toBe('verify')
      expect(output).toMatch(/error (BUNDLE_CORRUPT|SIZE_MISMATCH|SIGNATURE_INVALID)/)
      expect(await readdir(opt)).not.toContain('pwned')
    })

    it('stops at the sums where a program was swapped inside the tar', async () => {
      const usb = await tampered()
      const bytes = await readFile(join(usb, 'stack.tar'))
      const at = bytes.indexOf(`exec '${process.execPath}'`)
      bytes.write('evil', at)
      await writeFile(join(usb, 'stack.tar'), bytes)
      const { stopped, output } = await typeChain(usb)
      expect(stopped).toBe('sums')
      expect(output).toContain('offline-deploy/node: FAILED')
    })

    it('stops at verify where anything else was swapped', async () => {
      const usb = await tampered()
      const bytes = await readFile(join(usb, 'stack.tar'))
      bytes.write('A', bytes.lastIndexOf('a file'))
      await writeFile(join(usb, 'stack.tar'), bytes)
      const { stopped, output } = await typeChain(usb)
      expect(stopped).toBe('verify')
      expect(output).toMatch(/error (BUNDLE_CORRUPT|DIGEST_MISMATCH)/)
    })
  },
)

describe.skipIf(!tools)(
  'an installed offline-deploy (needs minisign and ssh-keygen and sha256sum)',
  { timeout: 240_000 },
  () => {
    const installed = (words: string) =>
      sh(
        `'${process.execPath}' '${join(dist, 'offline-deploy.mjs')}' ${words} --site '${join(work, 'site')}'`,
        work,
      )
    const codeOf = ({ status, stderr }: ReturnType<typeof installed>) =>
      status === 0 ? 'good' : `${stderr.match(/^error ([A-Z_]+)/m)?.[1]} ${status}`
    const verify = (usb: string) => codeOf(installed(`verify '${join(usb, 'stack.tar')}'`))

    it('verifies the next bundle with the keys of the site, and follows a rotation of them', async () => {
      expect(codeOf(installed(`keys add '${join(work, 'release.pub')}' --name release --yes`))).toBe('good')
      expect(verify(disk)).toBe('good')
      expect(installed(`verify '${join(disk, 'stack.tar')}'`).stdout).not.toContain('cannot vouch')
      expect(verify(await deliver(join(work, 'next-1'), { version: '1.1.0' }))).toBe('UNTRUSTED 6')
      expect(verify(await deliver(join(work, 'next-2'), { version: '1.1.0', key: 'attacker' }))).toBe(
        'UNTRUSTED 6',
      )
      const stripped = await tampered()
      for (const name of await readdir(stripped)) if (/\.sums\./.test(name)) await rm(join(stripped, name))
      expect(verify(stripped)).toBe('UNTRUSTED 6')

      // a rotation by the wrong key, then by the present one
      airgap(`rotate other.pub --sign-key attacker.key --out evil.rotation`)
      expect(codeOf(installed('keys rotate evil.rotation'))).toBe('UNTRUSTED 6')
      airgap(`rotate other.pub --sign-key release.key`)
      expect(codeOf(installed('keys rotate keys.rotation'))).toBe('good')
      expect(installed('keys list').stdout).toContain('retired  release')
      expect(JSON.parse(installed('keys list -o json').stdout).keys.keys).toMatchObject([{ fingerprint }])
      expect(verify(disk)).toBe('UNTRUSTED 6')
      expect(verify(await deliver(join(work, 'next-3'), { version: '1.1.0', key: 'other' }))).toBe('good')
    })
  },
)
