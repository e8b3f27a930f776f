import type { z } from 'zod'
import { AirgapError } from '../core/errors.ts'
import { etcdNotes, groupNotes, some, variableNotes } from './convert-notes.ts'
import { mistakesOf, readValues } from './convert-values.ts'
import { loginPasswords, roleGroups, sudoPasswords, taken } from './inventory-names.ts'
import type { Host } from './raw-inventory.ts'
import { type Inventory, readInventory, variablesOf } from './read-inventory.ts'
import { isTemplate, plain, shown } from './read-source.ts'
import { siteFileSchema } from './schema.ts'
import type { AskedNode, SiteAnswers } from './starter.ts'

/** What an inventory of before becomes, and what site.yaml has no place for. */
export interface Converted {
  answers: SiteAnswers
  notes: string[]
}

/** What one machine of the inventory says, of itself and of the site. */
interface Found {
  node: AskedNode
  key: string | undefined
  kubernetes: string | undefined
  nfsPath: string | undefined
  password: boolean
  sudo: boolean
}

/**
 * Reads kubespray's inventory, and a values file where one is named. No secret of them is taken or told. Throws
 * SITE_INVALID with every mistake at once, VALUES_INVALID, FILE_NOT_FOUND.
 */
export async function convertInventory(from: { inventory: string; values?: string }): Promise<Converted> {
  const inventory = await readInventory(from.inventory)
  const notes = [...inventory.notes]
  const mistakes: string[] = []
  const found = [...inventory.hosts.values()].flatMap(
    host => machineOf(host, inventory, { notes, mistakes }) ?? [],
  )
  if (found.length === 0)
    mistakes.push(
      `${inventory.file}: no machine is in a group that has a role: ${roleGroups.map(([, [group]]) => group).join(', ')}`,
    )
  if (mistakes.length > 0) throw unfit(mistakes, inventory.file)
  notes.push(...etcdNotes(inventory), ...groupNotes(inventory), ...variableNotes(inventory))
  const values = from.values === undefined ? {} : await readValues(from.values, notes)
  const nodes = found.map(({ node }) => node)
  const { login, rest } = commonLogin(nodes)
  const ssh = { ...login, ...sshOf(found, notes) }
  const nfs = nfsOf(found, values.nfs, notes)
  const shape = siteFileSchema.shape.versions.unwrap().shape
  const version = only(
    found.map(({ node, kubernetes }) => [node.name, kubernetes?.replace(/^(?=\d)/, 'v')]),
    shape.kubernetes,
    { what: 'kube_version', notes },
  )
  return {
    answers: {
      ...values,
      ...(nfs === undefined ? {} : { nfs }),
      ...(Object.keys(ssh).length === 0 ? {} : { ssh }),
      ...(version === undefined ? {} : { versions: { kubernetes: version } }),
      nodes: rest,
    },
    notes: [...new Set(notes)],
  }
}

function machineOf(
  host: Host,
  inventory: Inventory,
  { notes, mistakes }: { notes: string[]; mistakes: string[] },
): Found | undefined {
  const { name } = host
  const roles = rolesOf(name, inventory, notes)
  if (roles === undefined) return undefined
  const variables = variablesOf(host, inventory)
  const value = (of: keyof typeof taken) => {
    for (const key of taken[of]) {
      const one = variables.get(key)
      const text = plain(one)
      if (text !== undefined && isTemplate(text))
        notes.push(`not taken over: ${name}: ${key}: a template ({{ }}) is not evaluated here`)
      else if (text !== undefined && text !== '') return text
      else if (one !== undefined && one !== null && text === undefined)
        notes.push(`not taken over: ${name}: ${key}: is no plain text`)
    }
    return undefined
  }
  const [address, user, port] = [value('address'), value('user'), value('port')]
  for (const key of taken.address) {
    const other = plain(variables.get(key))
    if (other !== undefined && address !== undefined && other !== address && !isTemplate(other))
      notes.push(
        `not taken over: ${name}: ${key}: ${shown(other)}: a machine has one address here, ${shown(address)}`,
      )
  }
  const node: AskedNode = {
    name,
    address: address ?? '',
    roles,
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port: /^\d{1,5}$/.test(port) ? Number(port) : Number.NaN }),
  }
  const where = `${host.place}: ${shown(name)}`
  mistakes.push(
    ...(address === undefined
      ? [`${where}: has no address: set ip or ansible_host`]
      : mistakesOf(siteFileSchema.shape.nodes.element, node, where)),
  )
  const set = (key: string) => variables.get(key) !== undefined && variables.get(key) !== ''
  return {
    node,
    key: value('key'),
    kubernetes: value('kubernetes'),
    nfsPath: roles.includes('nfs') ? value('nfsPath') : undefined,
    password: loginPasswords.some(set),
    sudo: sudoPasswords.some(set) && user !== undefined && user !== 'root',
  }
}

function rolesOf(name: string, { members }: Inventory, notes: string[]): string[] | undefined {
  const roles: string[] = roleGroups.flatMap(([role, groups]) =>
    groups.some(group => members.get(group)?.has(name)) ? [role] : [],
  )
  if (roles.length === 0) {
    notes.push(`not taken over: ${name}: is in no group that has a role here`)
    return undefined
  }
  if (!roles.includes('gpu') || roles.includes('worker')) return roles
  notes.push(`${name} becomes a worker, too: it has GPUs, and only a worker runs what uses them`)
  return ['worker', ...roles]
}

function sshOf(
  found: readonly Found[],
  notes: string[],
): Omit<NonNullable<SiteAnswers['ssh']>, 'user' | 'port'> {
  const nobody = found.filter(({ node }) => node.user === undefined).map(({ node }) => node.name)
  if (nobody.length > 0)
    notes.push(`${some(nobody)}: no ansible_user: root logs in there, unless --user says another`)
  const password = found.some(one => one.password)
  const sudo = found.some(one => one.sudo)
  if (password) notes.push('ssh.password: true: the password for ssh is asked for, and stands in no file')
  if (sudo) notes.push('ssh.sudo: password: the password for sudo is asked for, and stands in no file')
  const privateKey = only(
    found.map(({ node, key }) => [node.name, key]),
    siteFileSchema.shape.ssh.unwrap().shape.privateKey,
    { what: 'private key', notes },
  )
  return {
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(password ? { password } : {}),
    ...(sudo ? { sudo: 'password' } : {}),
  }
}

/** The value that is the same at all machines that have one. */
function only(
  found: readonly (readonly [name: string, value: string | undefined])[],
  schema: z.ZodType,
  { what, notes }: { what: string; notes: string[] },
): string | undefined {
  const values = Map.groupBy(
    found.filter(([, value]) => value !== undefined),
    ([, value]) => value!,
  )
  const [first, ...others] = values.keys()
  if (first === undefined) return undefined
  if (others.length > 0) {
    for (const [value, of] of values)
      notes.push(
        `not taken over: ${what} ${shown(value)} of ${some(of.map(([name]) => name))}: one is for all machines here`,
      )
    return undefined
  }
  const wrong = mistakesOf(schema, first, what)
  notes.push(...wrong.map(text => `not taken over: ${text}: ${shown(first)}`))
  return wrong.length === 0 ? first : undefined
}

/** What all machines have in common stands once. */
function commonLogin(nodes: AskedNode[]): { login: SiteAnswers['ssh']; rest: AskedNode[] } {
  const common = <T>(of: (node: AskedNode) => T | undefined): T | undefined => {
    const [first, ...others] = new Set(nodes.map(of))
    return others.length === 0 ? first : undefined
  }
  const [user, port] = [common(node => node.user), common(node => node.port)]
  return {
    login: { ...(user === undefined ? {} : { user }), ...(port === undefined ? {} : { port }) },
    rest: nodes.map(({ user: ownUser, port: ownPort, ...node }) => ({
      ...node,
      ...(ownUser === undefined || user !== undefined ? {} : { user: ownUser }),
      ...(ownPort === undefined || port !== undefined ? {} : { port: ownPort }),
    })),
  }
}

function nfsOf(found: readonly Found[], values: SiteAnswers['nfs'], notes: string[]): SiteAnswers['nfs'] {
  const server = values?.server ?? found.find(({ node }) => node.roles.includes('nfs'))?.node.name
  if (server === undefined) return undefined
  const path = only(
    found.map(({ node, nfsPath }) => [node.name, nfsPath]),
    siteFileSchema.shape.nfs.unwrap().shape.path,
    { what: 'nfs_server_path', notes },
  )
  return { server, ...(path === undefined ? {} : { path }), ...values }
}

const maxTold = 50

function unfit(mistakes: string[], file: string): AirgapError {
  const more = mistakes.length > maxTold ? `\n  … and ${mistakes.length - maxTold} more` : ''
  return new AirgapError(
    'SITE_INVALID',
    `the inventory has what site.yaml cannot take:\n  ${mistakes.slice(0, maxTold).join('\n  ')}${more}`,
    { item: file, next: 'correct a copy of the inventory and give that one; nothing was written' },
  )
}
