import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isInTrustStore, lacksCa, updateTrustStore } from '../../src/install/trust-store.ts'
import { siteCaFiles } from '../../src/site/client-files.ts'
import { tempFolder } from './support.ts'

const pem = (...lines: string[]) =>
  `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
const address = { scheme: 'https', host: '10.0.0.1', registryPort: 35000, httpPort: 8080 } as const
const files = siteCaFiles(pem('AAAABBBB', 'CCCC='), address)
const signal = new AbortController().signal

/** A system whose store is in this file. */
async function systemWith(bundle: string, text: string): Promise<string> {
  const root = await tempFolder()
  await mkdir(dirname(join(root, bundle)), { recursive: true })
  await writeFile(join(root, bundle), text)
  return root
}

describe.each(['etc/ssl/certs/ca-certificates.crt', 'etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem'])(
  'a system with its store in %s',
  bundle => {
    it('lacks a CA that is not in it, however its lines are broken', async () => {
      expect(await lacksCa(files, { root: await systemWith(bundle, pem('DDDD')) })).toBe(true)
      const made = `# other\n${pem('DDDD')}# site\n${pem('AAAA', 'BBBB', 'CCCC=')}`
      expect(await lacksCa(files, { root: await systemWith(bundle, made) })).toBe(false)
      expect(await lacksCa([], { root: await systemWith(bundle, pem('DDDD')) })).toBe(false)
    })

    it('that is not this one is updated by hand', async () => {
      const root = await systemWith(bundle, '')
      expect(await updateTrustStore({ root, signal })).toMatch(
        /^run `\/usr\/\S*bin\/update-ca-\S+ \S+` in the system at /,
      )
    })
  },
)

it('a system without a store lacks nothing, and has nothing to update', async () => {
  const root = await tempFolder()
  expect(await lacksCa(files, { root })).toBe(false)
  expect(await updateTrustStore({ root, signal })).toBeUndefined()
})

it('knows which files make the store of which system', () => {
  const anchor = 'usr/local/share/ca-certificates/airgap-site-ca.crt'
  expect(isInTrustStore(`/${anchor}`, { root: '/' })).toBe(true)
  expect(isInTrustStore(`/mnt/${anchor}`, { root: '/mnt' })).toBe(true)
  // a copy for other machines
  expect(isInTrustStore(`/opt/site/clients/${anchor}`, { root: '/' })).toBe(false)
})
