import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type PublicKey, parsePublicKeys } from '../../src/signature/public-key.ts'
import { printStatement, type Statement } from '../../src/signature/statement.ts'

/** A statement, written to a folder of its own as `B.tar.sums`. */
export function writtenStatement(changes: Partial<Statement> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'airgap-signature-'))
  const bundle = join(folder, 'B.tar')
  const text = printStatement(sample(changes))
  writeFileSync(`${bundle}.sums`, text)
  return { folder, bundle, sums: `${bundle}.sums`, bytes: Buffer.from(text) }
}

export function sample(changes: Partial<Statement> = {}): Statement {
  const hex = (digit: string) => digit.repeat(64)
  return {
    product: 'astrago-airgap',
    name: 'sample',
    version: '1.0.0',
    index: `sha256:${hex('a')}`,
    built: '2026-11-27T03:20:00Z',
    files: [
      { path: 'index.json', sha256: hex('a') },
      { path: 'offline-deploy/node', sha256: hex('b') },
      { path: 'offline-deploy/offline-deploy', sha256: hex('c') },
    ],
    ...changes,
  }
}

/** A key of Debian's minisign, without a password. */
export function minisignKey(folder: string, name = 'm'): { secret: string; key: PublicKey } {
  const secret = join(folder, `${name}.key`)
  run('minisign', ['-G', '-W', '-p', join(folder, `${name}.pub`), '-s', secret])
  return { secret, key: keyIn(join(folder, `${name}.pub`)) }
}

export function minisign(path: string, { secret, args = [] }: { secret: string; args?: string[] }): void {
  run('minisign', ['-S', '-s', secret, '-m', path, ...args])
}

/** A key of OpenSSH. */
export function sshKey(folder: string, { name = 's', type = 'ed25519' } = {}) {
  const secret = join(folder, name)
  run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'builder@example', '-f', secret])
  return { secret, publicFile: `${secret}.pub` }
}

export function sshSign(
  path: string,
  { secret, args = ['-n', 'astrago-airgap'] }: { secret: string; args?: string[] },
) {
  run('ssh-keygen', ['-Y', 'sign', '-f', secret, ...args, path])
}

export function keyIn(path: string): PublicKey {
  return parsePublicKeys(readFileSync(path, 'utf8'), path)[0]!
}

export function run(program: string, args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
