import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { SiteNode } from '../../../scripts/lib/machines/containerd-node.ts'
import { home } from '../../../scripts/lib/places.ts'

/** of the company, which the closed network does not have */
export const proxies = {
  'etc/apt/apt.conf.d/99proxy': 'Acquire::http::Proxy "http://127.0.0.1:9";\n',
  'etc/environment':
    'PATH="/usr/sbin:/usr/bin:/sbin:/bin"\nhttp_proxy=http://127.0.0.1:9\nno_proxy=localhost\n',
  'etc/systemd/system/containerd.service.d/http-proxy.conf':
    '[Service]\nEnvironment="HTTP_PROXY=http://127.0.0.1:9" "NO_PROXY=localhost,.corp.example"\n',
}

/** Checks what the roles wrote beside the settings of `proxies`. */
export async function checkExemptions(
  node: SiteNode,
  {
    http,
    play,
    work,
  }: {
    /** address of the site */
    http: string
    play: (playbook: string) => Promise<{ changed: number }>
    work: string
  },
): Promise<void> {
  const text = (path: string) => readFile(join(node.root, path), 'utf8')
  const { hostname: host, protocol } = new URL(http)
  const lines = (await text('etc/environment')).split('\n')
  expect(lines.slice(0, 3).join('\n')).toBe(proxies['etc/environment'].trim())
  expect(lines).toEqual(
    expect.arrayContaining([`no_proxy="localhost,${host}"`, `NO_PROXY="localhost,${host}"`]),
  )
  expect(await text('etc/apt/apt.conf.d/95airgap-site')).toContain(
    `Acquire::${protocol}:Proxy::${host} "DIRECT";`,
  )
  const shell =
    'http_proxy=http://127.0.0.1:9; no_proxy=x; . /etc/profile.d/zz-airgap-no-proxy.sh; echo $no_proxy $NO_PROXY'
  expect(await node.chroot(['sh', '-c', shell])).toBe(`x,${host} x,${host}\n`)
  const mirrors = join(work, 'mirrors.yml')
  await writeFile(
    mirrors,
    JSON.stringify([
      { hosts: 'k8s_cluster', roles: [join(home, 'bundle/astrago/ansible/roles/containerd_mirrors')] },
    ]),
  )
  expect((await play(mirrors)).changed).toBeGreaterThan(0)
  const exempt = `localhost,.corp.example,${host}`
  expect(await text('etc/systemd/system/containerd.service.d/zz-airgap-no-proxy.conf')).toContain(
    `[Service]\nEnvironment="NO_PROXY=${exempt}" "no_proxy=${exempt}"\n`,
  )
  expect((await play(mirrors)).changed).toBe(0)
}
