import { spawn, spawnSync } from 'node:child_process'
import type { KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { identityMatcher } from '../../src/oci-signatures/keyless-identity.ts'
import { parseSignerKeys } from '../../src/oci-signatures/signer-keys.ts'
import { parseTrustedRoot } from '../../src/oci-signatures/trusted-root.ts'
import { types, Upstream } from '../kinds/image/support.ts'
import { newKeyPair } from './support/certificates.ts'
import { bundleType, keyBundle, startSigstore, statement } from './support/sigstore.ts'

const version = /GitVersion:\s+v(\d+)/.exec(spawnSync('cosign', ['version']).stdout?.toString() ?? '')?.[1]

describe.skipIf(Number(version ?? 0) < 3)('cosign 3 (needs cosign of that version)', () => {
  async function start() {
    const upstream = await Upstream.start((request, response) => {
      // cosign checks that this is a registry
      if (request.url !== '/v2/') return false
      response.writeHead(200).end('{}')
      return true
    })
    const host = upstream.registry.upstream.origin.replace('http://', '')
    const folder = mkdtempSync(join(tmpdir(), 'airgap-cosign-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const image = upstream.image({ os: 'linux', architecture: 'amd64' }, '1')
    const cosign = (...args: string[]) =>
      new Promise<{ status: number | null }>((resolve, reject) => {
        const env = { ...process.env, HOME: folder }
        const child = spawn('cosign', args, { cwd: folder, env, stdio: 'ignore' })
        child.on('error', reject)
        child.on('close', status => resolve({ status }))
      })
    const attach = (document: object) => {
      const config = upstream.registry.putBlob(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json')
      const layers = [upstream.registry.putBlob(Buffer.from(JSON.stringify(document)), bundleType)]
      const annotations = {
        'dev.sigstore.bundle.content': 'dsse-envelope',
        'dev.sigstore.bundle.predicateType': 'https://sigstore.dev/cosign/sign/v1',
      }
      const manifest = { mediaType: types.manifest, artifactType: bundleType, config, layers, annotations }
      const put = upstream.manifest({ ...manifest, subject: image })
      upstream.index([{ ...put, artifactType: bundleType, annotations }], image.digest.replace(':', '-'))
    }
    return { upstream, host, folder, image, cosign, attach, name: `${host}/team/app:1` }
  }

  it('and this program accept the same keyless signature, and refuse it by another', async () => {
    const { upstream, host, folder, image, cosign, attach, name } = await start()
    const instance = startSigstore()
    const identity = 'https://github.com/team/app/.github/workflows/release.yml@refs/tags/v1'
    const issuer = 'https://token.example'
    const file = join(folder, 'trusted_root.json')
    writeFileSync(file, JSON.stringify(instance.trustedRoot))
    const root = parseTrustedRoot(readFileSync(file, 'utf8'), file)
    attach(instance.signStatement(statement(image.digest)))
    const verify = [
      'verify',
      '--trusted-root',
      file,
      '--allow-http-registry',
      '--certificate-oidc-issuer',
      issuer,
    ]
    const both = async (expected: string) => {
      const { status } = await cosign(...verify, '--certificate-identity', expected, name)
      const isIdentity = identityMatcher(expected)
      const signers = [{ type: 'keyless' as const, identity: expected, isIdentity, issuer, root }]
      const isLocked = await upstream.lock({ host, signatures: [{ source: host, signers }] }).then(
        () => true,
        () => false,
      )
      return [status === 0, isLocked]
    }
    expect(await both(identity)).toEqual([true, true])
    expect(await both(`${identity}.1`)).toEqual([false, false])
  }, 60_000)

  it('and this program accept the same signature by a key, and refuse it by another', async () => {
    const { upstream, host, folder, image, cosign, attach, name } = await start()
    const { privateKey, publicKey } = newKeyPair()
    attach(keyBundle(statement(image.digest), privateKey))
    const verify = ['verify', '--insecure-ignore-tlog', '--allow-http-registry', '--key', 'test.pub']
    const both = async (key: KeyObject) => {
      const pem = key.export({ format: 'pem', type: 'spki' }).toString()
      writeFileSync(join(folder, 'test.pub'), pem)
      const { status } = await cosign(...verify, name)
      const signers = parseSignerKeys(pem, 'test.pub')
      const isLocked = await upstream.lock({ host, signatures: [{ source: host, signers }] }).then(
        () => true,
        () => false,
      )
      return [status === 0, isLocked]
    }
    expect(await both(publicKey)).toEqual([true, true])
    expect(await both(newKeyPair().publicKey)).toEqual([false, false])
  }, 60_000)
})
