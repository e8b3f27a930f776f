import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { convertInventory } from '../../src/inventory/convert.ts'
import { inventoryText } from '../../src/inventory/hosts.ts'
import { parseSiteFile } from '../../src/inventory/site-file.ts'
import { starterSite } from '../../src/inventory/starter.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-convert-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))
const convert = async (name: string, text: string) => {
  await writeFile(join(folder, name), text)
  return await convertInventory({ inventory: join(folder, name) })
}

const ini = `[all]
master-1 ansible_host=10.0.0.11 ip=10.0.0.11 ansible_password='hunter2' # the first
gpu-[1:2] ansible_user=ubuntu
gpu-1 ip=10.0.0.21
gpu-2 ip=10.0.0.22 ansible_port=2222

[kube_control_plane]
master-1

[etcd]
gpu-1

[kube_node]
gpu-[1:2]

[gpu_node:children]
kube_node

[k8s_cluster:vars]
x=1
`

describe('conversion of an existing inventory', () => {
  it('reads INI with ranges, children and passwords', async () => {
    const { answers, notes } = await convert('inventory.ini', ini)
    expect(answers.nodes).toEqual([
      { name: 'master-1', address: '10.0.0.11', roles: ['control-plane'] },
      { name: 'gpu-1', address: '10.0.0.21', roles: ['worker', 'gpu'], user: 'ubuntu' },
      { name: 'gpu-2', address: '10.0.0.22', roles: ['worker', 'gpu'], user: 'ubuntu', port: 2222 },
    ])
    expect(answers.ssh).toEqual({ password: true })
    expect(notes.join('\n')).toMatch(/master-1: ansible_password: secrets are not copied/)
    expect(notes.join('\n')).toMatch(/etcd on gpu-1/)
    expect(JSON.stringify({ answers, notes })).not.toContain('hunter2')
    parseSiteFile(starterSite(answers), 'site.yaml')
  })

  it('restores the nodes from an inventory of our own', async () => {
    const nodes = [
      { name: 'a', address: '10.0.0.1', roles: ['control-plane', 'worker', 'nfs'] },
      { name: 'b', address: 'fd00::2', roles: ['worker', 'gpu'], user: 'ubuntu', port: 22 },
    ]
    const site = parseSiteFile(
      starterSite({ nodes, nfs: { server: 'a' }, ssh: { user: 'ubuntu' }, nameservers: ['10.0.0.2'] }),
      'site.yaml',
    )
    const { answers, notes } = await convert('hosts.yaml', inventoryText(site))
    expect(answers).toEqual({
      nodes: nodes.map(({ name, address, roles }) => ({ name, address, roles })),
      ssh: { user: 'ubuntu', port: 22 },
      nfs: { server: 'a', path: '/nfs-data/astrago' },
      nameservers: ['10.0.0.2'],
    })
    expect(notes).toEqual([expect.stringMatching(/^not converted: a: nfs_server_networks: /)])
  })

  it('uses a values file', async () => {
    await writeFile(
      join(folder, 'values.yaml'),
      'externalIP: 10.0.0.100\nnfs: {server: 10.0.0.5, basePath: /srv}\npassword: hunter2\n',
    )
    await writeFile(join(folder, 'hosts.ini'), ini)
    const { answers } = await convertInventory({ inventory: folder, values: join(folder, 'values.yaml') })
    expect(answers).toMatchObject({ externalIP: '10.0.0.100', nfs: { server: '10.0.0.5', path: '/srv' } })
  })

  it.each([
    ['broken YAML', 'hosts.yaml', 'all: [', /hosts\.yaml:1:/],
    [
      'an alias bomb',
      'hosts.yaml',
      `a: &a [1,1,1,1,1,1,1,1,1]\n${['b', 'c', 'd', 'e'].map((k, i) => `${k}: &${k} [${Array(9).fill(`*${'abcd'[i]}`).join(',')}]`).join('\n')}\n`,
      /alias/i,
    ],
    ['no hosts', 'hosts.yaml', 'all: {}\n', /has no hosts/],
    ['control characters', 'hosts.ini', '[all]\na\u0001b\n', /control characters/],
    ['a range without end', 'hosts.ini', '[all]\na[1:99999]\n', /a range of 99999 hosts/],
    ['a range in the wrong order', 'hosts.ini', '[all]\na[9:1]\n', /a range of -7 hosts/],
    ['another kind of file', 'hosts.ini', '<html></html>\n[x]\n{{ y }}\n', /not a host/],
  ])('refuses %s', async (_, name, text, message) => {
    const error = await convert(name, text).catch(caught => caught)
    expect(error).toMatchObject({ code: 'SITE_INVALID' })
    expect(`${error.item}: ${error.message}`).toMatch(message)
  })

  it.each([
    ['a name that no node can have', '$(id)', /hosts\.yaml:1: "\$\(id\)": name must be a host name/],
    ['an invalid address', 'b', /"b": address .*IP address/],
    ['an invalid port', 'c', /"c": port must be a number/],
    ['no address', 'd', /"d": has no address/],
  ])('reports all mistakes together: %s', async (_, _name, message) => {
    const error = await convert(
      'hosts.yaml',
      'kube_control_plane: {hosts: {"$(id)": {ip: 10.0.0.1}, b: {ip: "10.0.0.1; reboot"}, c: {ip: 10.0.0.3, ansible_port: "22; id"}, d: {}}}\n',
    ).catch(caught => caught)
    expect(error).toMatchObject({ code: 'SITE_INVALID' })
    expect(error.message).toMatch(message)
  })
})

describe('variables of an inventory', () => {
  const hosts = `[kube_control_plane]
m-1
m-2
[kube_node]
w-1 ip=10.0.0.21
[kube_node:vars]
ansible_user = "worker"
[all:vars]
ansible_user=ubuntu
[k8s_cluster:children]
kube_control_plane
kube_node
`
  const write = async (files: Record<string, string>) => {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true })
      await writeFile(join(folder, name), text)
    }
    return await convertInventory({ inventory: folder })
  }

  it("are merged in ansible's order of precedence", async () => {
    const { answers, notes } = await write({
      'inventory.ini': hosts,
      'group_vars/all/all.yml': 'ansible_port: 2222\nloadbalancer_apiserver: {port: 6443}\nhttp_proxy: x\n',
      'group_vars/k8s_cluster/k8s-cluster.yml': 'kube_version: 1.28.6\ncluster_name: "{{ one }}"\n',
      'group_vars/kube_control_plane.yml': 'ansible_become_password: hunter2\n',
      'host_vars/m-1.yml': 'ip: 10.0.0.11\n',
      'host_vars/m-2/main.yaml': 'ansible_host: 10.0.0.12\naccess_ip: 10.9.9.9\n',
      'host_vars/m-2/vault.yml': '$ANSIBLE_VAULT;1.1;AES256\n3132\n',
    })
    expect(answers).toEqual({
      nodes: [
        { name: 'm-1', address: '10.0.0.11', roles: ['control-plane'], user: 'ubuntu' },
        { name: 'm-2', address: '10.0.0.12', roles: ['control-plane'], user: 'ubuntu' },
        { name: 'w-1', address: '10.0.0.21', roles: ['worker'], user: 'worker' },
      ],
      ssh: { port: 2222, sudo: 'password' },
      // the form of kubespray 2.28 and newer
      versions: { kubernetes: '1.28.6' },
    })
    const all = notes.join('\n')
    expect(all).toMatch(/vault\.yml: encrypted/)
    expect(all).toMatch(
      /group_vars\/all\/all\.yml: loadbalancer_apiserver, http_proxy: the bundle has its own/,
    )
    expect(all).toMatch(/"10\.9\.9\.9": a machine has one address, /)
    expect(all + JSON.stringify(answers)).not.toContain('hunter2')
  })

  it.each([
    ['groups that contain each other', '[a:children]\nb\n[b:children]\na\n[a]\nx\n', /contain each other: /],
    ['a quote that is not closed', "[a]\nx ansible_password='hunter2\n", /not closed/],
    ['a variable without a machine', '[a]\nansible_password=hunter2\n', /without a machine/],
    ['words after a host', '[a]\nx hunter2\n', /NAME=VALUE/],
    ['an invalid section header', '[a\nx\n', /not a section header/],
  ])('refuses %s, without showing a secret', async (_, text, message) => {
    const error = await convert('inventory.ini', text).catch(caught => caught)
    expect(error).toMatchObject({ code: 'SITE_INVALID' })
    expect(error.message).toMatch(message)
    expect(error.message).not.toContain('hunter2')
  })
})
