import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { convertInventory } from '../../src/inventory/convert.ts'
import { inventoryText } from '../../src/inventory/hosts.ts'
import { parseSiteFile } from '../../src/inventory/site-file.ts'
import { starterSite, withNode, withoutNode } from '../../src/inventory/starter.ts'

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

describe('an inventory of before', () => {
  it('in INI, with ranges, children and passwords', async () => {
    const { answers, notes } = await convert('inventory.ini', ini)
    expect(answers.nodes).toEqual([
      { name: 'master-1', address: '10.0.0.11', roles: ['control-plane'] },
      { name: 'gpu-1', address: '10.0.0.21', roles: ['worker', 'gpu'], user: 'ubuntu' },
      { name: 'gpu-2', address: '10.0.0.22', roles: ['worker', 'gpu'], user: 'ubuntu', port: 2222 },
    ])
    expect(notes.join('\n')).toMatch(/master-1: ansible_password: passwords are asked for/)
    expect(notes.join('\n')).toMatch(/etcd on gpu-1/)
    expect(JSON.stringify({ answers, notes })).not.toContain('hunter2')
    parseSiteFile(starterSite(answers), 'site.yaml')
  })

  it('that we wrote ourselves gives the same machines', async () => {
    const nodes = [
      { name: 'a', address: '10.0.0.1', roles: ['control-plane', 'worker', 'nfs'] },
      { name: 'b', address: 'fd00::2', roles: ['worker', 'gpu'], user: 'ubuntu', port: 22 },
    ]
    const site = parseSiteFile(
      starterSite({ nodes, nfs: { server: 'a' }, ssh: { user: 'ubuntu' } }),
      'site.yaml',
    )
    const { answers } = await convert('hosts.yaml', inventoryText(site))
    expect(answers.nodes).toEqual(nodes.map(node => ({ ...node, user: 'ubuntu', port: 22 })))
  })

  it('takes what a values file says', async () => {
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
    ['no hosts', 'hosts.yaml', 'all: {}\n', /names no hosts/],
    ['control characters', 'hosts.ini', '[all]\na\u0001b\n', /control characters/],
    ['a range without end', 'hosts.ini', '[all]\na[1:99999]\n', /a range of 99999 hosts/],
    ['a range backwards', 'hosts.ini', '[all]\na[9:1]\n', /a range of -7 hosts/],
    ['something else', 'hosts.ini', '<html></html>\n[x]\n{{ y }}\n', /not a host/],
  ])('refuses %s', async (_, name, text, message) => {
    const error = await convert(name, text).catch(caught => caught)
    expect(error).toMatchObject({ code: 'SITE_INVALID' })
    expect(`${error.item}: ${error.message}`).toMatch(message)
  })

  it('of names that no machine can have ends at the schema', async () => {
    const { answers } = await convert(
      'hosts.yaml',
      'kube_control_plane: {hosts: {"$(id)": {ip: 10.0.0.1}}}\n',
    )
    expect(() => parseSiteFile(starterSite(answers), 'site.yaml')).toThrow(/must be a host name/)
  })
})

describe('a first site.yaml', () => {
  it('can be read as it is, and with a machine more and less', () => {
    const text = starterSite({ nodes: [] })
    expect(parseSiteFile(text, 'site.yaml').nodes).toHaveLength(1)
    const more = withNode(text, { name: 'gpu-1', address: '10.0.0.21', roles: ['worker', 'gpu'] })
    expect(parseSiteFile(more, 'site.yaml').nodes[1]).toMatchObject({ name: 'gpu-1' })
    expect(more).toContain('# where users reach the platform')
    expect(parseSiteFile(withoutNode(more, 1), 'site.yaml').nodes).toHaveLength(1)
  })
})
