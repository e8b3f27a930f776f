import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasTool } from '../bundle/has-tool.ts'
import { airgap } from './lib/airgap.ts'

/** Two builders, their keys, and a bundle that both built: signed, checked with stock programs, and refused where something is wrong. */

let work: string
let bundle: string
const at = (name: string) => join(work, name)

async function run(...args: string[]) {
  return await airgap([...args, '-o', 'json'])
}

async function build(out: string, ...args: string[]) {
  const options = ['-f', at('stack.yaml'), '--cache', at('cache'), '--out', out]
  const built = await run('build', ...options, ...args)
  expect(built).toMatchObject({ code: 0 })
  return JSON.parse(built.stdout) as {
    digest: string
    signed: { sums: string; sumsDigest: string; signatures: unknown[] }
  }
}

function readable(path: string): string {
  chmodSync(path, 0o644)
  return path
}

describe('signing bundles', () => {
  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'airgap-e2e-signatures-'))
    mkdirSync(at('tree'))
    writeFileSync(at('tree/file'), 'content')
    writeFileSync(
      at('stack.yaml'),
      'apiVersion: airgap/v1\nname: sample\nversion: 1.0.0\ntrees:\n  - {name: t, from: tree}\n',
    )
    for (const name of ['one', 'two', 'three'])
      expect(await run('keygen', '--no-password', '--out', at(name))).toMatchObject({ code: 0 })
    mkdirSync(at('first'))
    bundle = at('first/sample.tar')
  }, 60_000)
  afterAll(() => rmSync(work, { recursive: true, force: true }))

  it('changes nothing inside: the same digest unsigned, signed, and by another builder', {
    timeout: 120_000,
  }, async () => {
    mkdirSync(at('second'))
    const unsigned = await build(bundle)
    expect(unsigned.signed.signatures).toEqual([])
    const signed = await build(bundle, '--sign-key', at('one.key'))
    expect(signed.signed.signatures).toHaveLength(3)
    // signing later keeps the list that was written first, and with it what others compared on paper
    expect(signed.signed.sumsDigest).toBe(unsigned.signed.sumsDigest)
    const other = await build(
      at('second/sample.tar'),
      '--sign-key',
      at('two.key'),
      '--builder',
      'https://ci.example/2',
    )
    expect([signed.digest, other.digest]).toEqual([unsigned.digest, unsigned.digest])
    expect(readdirSync(at('first')).sort()).toEqual([
      'sample.tar',
      'sample.tar.provenance.json',
      'sample.tar.sums',
      'sample.tar.sums.minisig',
      'sample.tar.sums.sig',
      'sample.tar.sums.sigstore.json',
      'sample.tar.verify.txt',
    ])
  })

  it('lets the second builder sign the list of the first', async () => {
    for (const name of readdirSync(at('second'))) if (name !== 'sample.tar') rmSync(at(`second/${name}`))
    for (const name of readdirSync(at('first')))
      if (name !== 'sample.tar') cpSync(at(`first/${name}`), at(`second/${name}`))
    expect(await run('sign', at('second/sample.tar'), '--sign-key', at('two.key'))).toMatchObject({ code: 0 })
    const keys = ['one', 'two', 'three'].flatMap(name => ['--public-key', at(`${name}.pub`)])
    const checked = await run('verify', at('second/sample.tar'), ...keys, '--threshold', '2')
    expect(checked).toMatchObject({ code: 0 })
    expect(JSON.parse(checked.stdout).signed).toMatchObject({ signers: [{}, {}], provenance: 2 })
    expect(await run('verify', at('second/sample.tar'), ...keys, '--threshold', '3')).toMatchObject({
      code: 6,
    })
  })

  it('takes the public keys in every form that keygen writes', async () => {
    for (const form of ['pub', 'allowed_signers', 'pem'])
      expect(await run('verify', bundle, '--public-key', at(`one.${form}`))).toMatchObject({ code: 0 })
    expect(await run('verify', bundle, '--public-key', at('two.pub'))).toMatchObject({ code: 6 })
  })

  it.skipIf(!hasTool('minisign') || !hasTool('ssh-keygen'))(
    'is checked by Debian’s minisign and ssh-keygen (needs minisign and ssh-keygen)',
    () => {
      const sums = `${bundle}.sums`
      const verified = execFileSync('minisign', ['-V', '-m', sums, '-p', at('one.pub')], { encoding: 'utf8' })
      expect(verified).toContain('Trusted comment: sample 1.0.0 sha256:')
      const verify = [
        '-Y',
        'verify',
        '-f',
        at('one.allowed_signers'),
        '-I',
        'airgap',
        '-n',
        'astrago-airgap',
        '-s',
        `${sums}.sig`,
      ]
      const input = readFileSync(sums)
      expect(spawnSync('ssh-keygen', verify, { input })).toMatchObject({ status: 0 })
      expect(
        spawnSync('ssh-keygen', verify, { input: Buffer.concat([input, Buffer.from('x')]) }).status,
      ).not.toBe(0)
    },
  )

  it.skipIf(!hasTool('cosign'))('is checked by cosign, the provenance included (needs cosign)', () => {
    const sums = `${bundle}.sums`
    writeFileSync(
      at('root.json'),
      '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}',
    )
    const cosign = (args: string[]) =>
      spawnSync('cosign', args, { encoding: 'utf8', env: { ...process.env, HOME: work } })
    const offline = [
      '--new-bundle-format',
      '--trusted-root',
      at('root.json'),
      '--insecure-ignore-tlog',
      '--insecure-ignore-sct',
    ]
    const blob = (key: string) =>
      cosign([
        'verify-blob',
        '--key',
        at(`${key}.pem`),
        '--bundle',
        `${sums}.sigstore.json`,
        ...offline,
        sums,
      ])
    expect(blob('one')).toMatchObject({ status: 0, stderr: expect.stringContaining('Verified OK') })
    expect(blob('two').status).not.toBe(0)
    execFileSync('tar', ['xf', bundle, 'index.json'], { cwd: work })
    const attestation = (key: string) =>
      cosign([
        'verify-blob-attestation',
        '--key',
        at(`${key}.pem`),
        '--signature',
        `${bundle}.provenance.json`,
        '--type',
        'slsaprovenance1',
        '--insecure-ignore-tlog',
        at('index.json'),
      ])
    expect(attestation('one')).toMatchObject({ status: 0 })
    expect(attestation('two').status).not.toBe(0)
  })

  it.each<[string, number, () => string[]]>([
    ['no key', 2, () => []],
    ['a key file that others can read', 2, () => ['--sign-key', readable(at('three.key'))]],
    ['a public key', 2, () => ['--sign-key', at('one.pub')]],
    ['a command without its public key', 2, () => ['--sign-command', 'cat']],
    [
      'a command that signs with another key',
      6,
      () => ['--sign-command', 'head -c 64 /dev/zero', '--public-key', at('one.pub')],
    ],
    ['an expiry in the past', 2, () => ['--sign-key', at('one.key'), '--expires', '2020-01-01']],
    ['an expiry that others did not sign', 2, () => ['--sign-key', at('one.key'), '--expires', '90d']],
    ['an unknown format', 2, () => ['--sign-key', at('one.key'), '--format', 'pgp']],
  ])('sign refuses %s', async (_, code, args) => {
    expect(await run('sign', bundle, ...args())).toMatchObject({ code })
  })

  it('keygen never overwrites a key, and asks for a password only on a terminal', async () => {
    const before = readFileSync(at('one.key'))
    expect(await run('keygen', '--no-password', '--out', at('one'))).toMatchObject({ code: 2 })
    expect(readFileSync(at('one.key'))).toEqual(before)
    expect(await run('keygen', '--out', at('four'))).toMatchObject({ code: 2 })
    writeFileSync(at('password'), 'sesame\n', { mode: 0o600 })
    expect(await run('keygen', '--out', at('four'), '--password-file', at('password'))).toMatchObject({
      code: 0,
    })
    expect(readFileSync(at('four.key'), 'utf8')).toContain('encrypted secret key')
    const signed = await run(
      'sign',
      bundle,
      '--sign-key',
      at('four.key'),
      '--password-file',
      at('password'),
      '--dry-run',
    )
    expect(signed).toMatchObject({ code: 0 })
    writeFileSync(at('password'), 'other\n')
    expect(
      await run('sign', bundle, '--sign-key', at('four.key'), '--password-file', at('password')),
    ).toMatchObject({ code: 2 })
  })

  it('verify and sign refuse a bundle that was changed after signing', async () => {
    const bytes = readFileSync(bundle)
    bytes[bytes.length - 3000]! ^= 1
    writeFileSync(bundle, bytes)
    expect(await run('verify', bundle, '--public-key', at('one.pub'))).toMatchObject({ code: 6 })
    expect(await run('sign', bundle, '--sign-key', at('one.key'))).toMatchObject({ code: 6 })
  })
})
