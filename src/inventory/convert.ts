import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { parseDocument } from 'yaml'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { type Inventory, readInventory } from './read-inventory.ts'
import type { SiteAnswers } from './starter.ts'

/** What an inventory of before becomes, and what site.yaml has no place for. */
export interface Converted {
  answers: SiteAnswers
  notes: string[]
}

const roleGroups = [
  ['control-plane', ['kube_control_plane', 'kube-master', 'kube_master']],
  ['worker', ['kube_node', 'kube-node']],
  ['gpu', ['gpu_node', 'gpu-node', 'gpu']],
  ['nfs', ['nfs_server', 'nfs']],
] as const

const taken = [
  'ansible_host',
  'ansible_ssh_host',
  'ip',
  'access_ip',
  'ansible_user',
  'ansible_ssh_user',
  'ansible_port',
  'ansible_ssh_port',
  'ansible_ssh_private_key_file',
]
const secret = /pass|secret|token|vault/i

/** Reads kubespray's inventory, and a values file where one is named. No secret of them is taken or told. */
export async function convertInventory(from: { inventory: string; values?: string }): Promise<Converted> {
  const inventory = await readInventory(from.inventory)
  const notes: string[] = []
  const nodes = [...inventory.hosts].flatMap(([name, variables]) => {
    const roles = roleGroups.flatMap(([role, groups]) =>
      groups.some(group => inventory.groups.get(group)?.has(name)) ? [role] : [],
    )
    if (roles.length === 0) {
      notes.push(`not taken over: ${name} is in no group that has a role here`)
      return []
    }
    const first = (...keys: string[]) =>
      keys.map(key => variables.get(key)).find(value => value !== undefined)
    const left = [...variables.keys()].filter(key => !taken.includes(key))
    const secrets = left.filter(key => secret.test(key))
    if (secrets.length > 0)
      notes.push(
        `not taken over: ${name}: ${secrets.join(', ')}: passwords are asked for, and stand in no file like this`,
      )
    const others = left.filter(key => !secret.test(key))
    if (others.length > 0)
      notes.push(
        `not taken over: ${name}: ${others.join(', ')}: write them under kubespray: where all machines have them`,
      )
    const user = first('ansible_user', 'ansible_ssh_user')
    const port = first('ansible_port', 'ansible_ssh_port')
    return [
      {
        name,
        address: first('ip', 'ansible_host', 'ansible_ssh_host', 'access_ip') ?? '',
        // a GPU is of use to pods only
        roles: roles.includes('gpu') && !roles.includes('worker') ? ['worker' as const, ...roles] : roles,
        ...(user === undefined ? {} : { user }),
        ...(port === undefined ? {} : { port: Number(port) }),
      },
    ]
  })
  notes.push(...etcdNotes(inventory))
  const keys = new Set(
    [...inventory.hosts.values()].flatMap(one => one.get('ansible_ssh_private_key_file') ?? []),
  )
  if (keys.size > 1)
    notes.push(`not taken over: ${keys.size} different private keys: one is for all machines`)
  const [privateKey] = keys
  const fromValues = from.values === undefined ? {} : await readValues(from.values)
  return {
    answers: {
      ...fromValues,
      ...(keys.size === 1 && privateKey !== undefined ? { ssh: { privateKey } } : {}),
      nodes,
    },
    notes,
  }
}

function etcdNotes({ groups }: Inventory): string[] {
  const etcd = groups.get('etcd') ?? new Set()
  const control = new Set(
    ['kube_control_plane', 'kube-master', 'kube_master'].flatMap(name => [...(groups.get(name) ?? [])]),
  )
  const apart = [...etcd].filter(name => !control.has(name))
  return apart.length === 0
    ? []
    : [`not taken over: etcd on ${apart.join(', ')}: it runs on the control plane here`]
}

/** What a values file says of the site. */
async function readValues(path: string): Promise<Partial<SiteAnswers>> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw fromSystemError(error, path)
  }
  const document = parseDocument(text)
  if (document.errors.length > 0) {
    throw new AirgapError(
      'VALUES_INVALID',
      `the values file cannot be read: ${document.errors[0]!.message.split('\n')[0]}`,
      {
        item: path,
        next: 'correct it, or leave --values out',
      },
    )
  }
  const at = (...keys: string[]) => {
    const value = document.getIn(keys)
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const externalIP = at('externalIP')
  const server = at('nfs', 'server')
  const folder = at('nfs', 'basePath')
  const environment = basename(dirname(path))
  return {
    ...(/^[a-z0-9][a-z0-9-]{0,40}$/.test(environment) ? { environment } : {}),
    ...(externalIP === undefined ? {} : { externalIP }),
    ...(server === undefined ? {} : { nfs: { server, ...(folder === undefined ? {} : { path: folder }) } }),
  }
}
