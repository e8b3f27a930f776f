import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { ClosedSite } from '../../../scripts/lib/machines/closed-site.ts'
import type { SiteNode } from '../../../scripts/lib/machines/containerd-node.ts'
import { run } from '../../../scripts/lib/run.ts'

interface Trusting {
  node: SiteNode
  work: string
  /** of the site, `host:port` */
  registry: string
}

/** Checks that programs of the node trust the CA of the site alone, and that another CA is refused and replaced. */
export async function checkTrust({
  site,
  node,
  work,
  registry,
  play,
  installKeys,
}: Trusting & {
  site: ClosedSite
  play: (playbook: string) => Promise<{ changed: number }>
  /** writes the site's CA beside the inventory */
  installKeys: () => Promise<void>
}): Promise<void> {
  const text = (path: string) => readFile(join(node.root, path), 'utf8')
  const installed = '/etc/ssl/certs/airgap-site-ca.crt'
  const host = new URL(site.http).hostname
  expect(await text('etc/apt/apt.conf.d/95airgap-site')).toBe(
    `// the servers of the site are reached without a proxy\nAcquire::https::Proxy::${host} "DIRECT";\nAcquire::https::${host}::CAInfo "${installed}";\n`,
  )
  const ca = await readFile(join(work, 'inventory', 'site-ca.crt'), 'utf8')
  for (const path of [
    'etc/ssl/certs/airgap-site-ca.crt',
    'usr/local/share/ca-certificates/airgap-site-ca.crt',
    `etc/docker/certs.d/${registry}/ca.crt`,
    `etc/containers/certs.d/${registry}/ca.crt`,
  ])
    expect(await text(path), path).toBe(ca)
  const git = ['git', 'config', '--file', join(node.root, 'etc/gitconfig'), '--get-urlmatch']
  expect(await run([...git, 'http.sslCAInfo', `${site.http}/git/x`])).toBe(`${installed}\n`)
  // the package was not there when the role ran
  await node.chroot(['apt-get', 'install', '-y', '--no-install-recommends', 'ca-certificates', 'curl'])
  const url = `${site.http}/pypi/simple/`
  const python = `import urllib.request as u; print(u.urlopen('${url}').status)`
  const direct = ['env', '-i', 'PATH=/usr/bin:/bin']
  const fetched = async () => {
    await node.chroot([...direct, 'curl', '--fail', '--silent', '--show-error', url])
    return await node.chroot([...direct, 'python3', '-c', python])
  }
  expect((await fetched()).trim()).toBe('200')
  expect((await play('site-repositories.yml')).changed).toBe(0)

  // another CA: what the site sends is refused; the right one comes back
  await run([
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-subj', '/CN=other', '-days', '9', '-keyout', join(work, 'other.key')],
    ...['-out', join(work, 'inventory', 'site-ca.crt')],
  ])
  await expect(play('site-repositories.yml')).rejects.toThrow(/certificate verify failed/i)
  await expect(fetched()).rejects.toThrow()
  await installKeys()
  expect((await play('site-repositories.yml')).changed).toBeGreaterThan(2)
  expect((await fetched()).trim()).toBe('200')
}

/** Checks that a node of a site without TLS has no CA, and no setting of one. */
export async function checkNoTrust({ node, work, registry }: Trusting): Promise<void> {
  const text = (path: string) => readFile(join(node.root, path), 'utf8')
  for (const path of [
    'etc/ssl/certs/airgap-site-ca.crt',
    'usr/local/share/ca-certificates/airgap-site-ca.crt',
    `etc/docker/certs.d/${registry}/ca.crt`,
  ])
    await expect(text(path), path).rejects.toMatchObject({ code: 'ENOENT' })
  expect(await text('etc/gitconfig')).not.toContain('sslCAInfo')
  for (const path of ['etc/apt/apt.conf.d/95airgap-site', 'etc/pip.conf'])
    expect(await text(path)).not.toContain('airgap-site-ca')
  expect(await text('etc/ssl/certs/ca-certificates.crt')).not.toContain(
    (await readFile(join(work, 'inventory', 'site-ca.crt'), 'utf8')).split('\n')[1]!,
  )
}
