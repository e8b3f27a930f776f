import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { readInventory, variablesOf } from '../../../src/inventory/read-inventory.ts'

/** Compares what we read from an inventory with what ansible reads. `program` is ansible-inventory. */
export async function checkInventoryReading({
  work,
  program,
  env,
}: {
  work: string
  program: string
  env: NodeJS.ProcessEnv
}): Promise<void> {
  const inventory = join(work, 'before')
  const write = async (name: string, text: string) => {
    await mkdir(join(inventory, name, '..'), { recursive: true })
    await writeFile(join(inventory, name), text)
  }
  await write(
    'hosts.ini',
    `m-1
[kube_node]
w-1:2200 ip="10.0.0.21" # the first
n-[01:05:2] ansible_user='a b'
[kube_node:vars]
ansible_user = "worker"
[all:vars]
ansible_user=ubuntu
[gpu]
w-1
[gpu:vars]
ansible_user=gpu
[k8s_cluster:children]
kube_node
[k8s_cluster:vars]
access_ip=10.0.0.9
`,
  )
  await write('group_vars/kube_node.yml', 'ansible_host: of.file\naccess_ip: 10.0.0.8\n')
  await write('group_vars/all/one.yml', 'ansible_host: of.all\n')
  await write('group_vars/all/two.yml', 'ansible_ssh_user: two\n')
  await write('host_vars/m-1.yml', 'ip: 10.0.0.11\nansible_user: own\n')
  const { stdout } = spawnSync(program, ['-i', join(inventory, 'hosts.ini'), '--list'], {
    encoding: 'utf8',
    env,
  })
  const hostvars = JSON.parse(stdout)._meta.hostvars
  const ours = await readInventory(inventory)
  expect([...ours.hosts.keys()].sort()).toEqual(Object.keys(hostvars).sort())
  for (const host of ours.hosts.values()) {
    const variables = variablesOf(host, ours)
    for (const key of ['ansible_host', 'ansible_user', 'ansible_ssh_user', 'ansible_port', 'ip', 'access_ip'])
      expect(String(variables.get(key)), `${host.name}: ${key}`).toBe(String(hostvars[host.name][key]))
  }
}
