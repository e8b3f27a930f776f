import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0

export interface Authority {
  folder: string
  caFile: string
  /** a server certificate for a name (`DNS:x` or `IP:127.0.0.1`); `days` 0 or less has expired already */
  issue(subjectAltName: string, options?: { notAfter?: string }): { key: string; cert: string }
  remove(): void
}

/** A private certificate authority made by the openssl program. */
export function makeAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'airgap-ca-'))
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '30',
    '-subj',
    '/CN=Test CA',
  )
  let count = 0
  return {
    folder,
    caFile: join(folder, 'ca.pem'),
    issue(subjectAltName, options = {}) {
      const name = `server${count++}`
      openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', '/CN=server')
      writeFileSync(join(folder, 'index.txt'), '')
      writeFileSync(
        join(folder, 'ca.cnf'),
        `[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n` +
          `x509_extensions=e\nunique_subject=no\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=${subjectAltName}\n`,
      )
      const end = options.notAfter ?? '20991231000000Z'
      const signing = ['-config', 'ca.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-batch', '-notext']
      const dates = ['-startdate', '20200101000000Z', '-enddate', end]
      openssl('ca', ...signing, ...dates, '-in', `${name}.csr`, '-out', `${name}.pem`)
      return {
        key: readFileSync(join(folder, `${name}.key`), 'utf8'),
        cert: readFileSync(join(folder, `${name}.pem`), 'utf8'),
      }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
