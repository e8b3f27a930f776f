import { z } from 'zod'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { etcdNotes, groupNotes, some, variableNotes } from './convert-notes.ts'
import { mistakesOf, readValues } from './convert-values.ts'
import { converted, loginPasswords, roleGroups, sudoPasswords } from './inventory-names.ts'
import type { Host } from './raw-inventory.ts'
import { type Inventory, readInventory, variablesOf } from './read-inventory.ts'
import { isTemplate, plain, shown } from './read-source.ts'
import { siteFileSchema } from './schema.ts'
import type { NodeAnswer, SiteAnswers } from './starter.ts'

/** An existing inventory as answers for site.yaml, and notes about what site.yaml has no key for. */
export interface Converted {
  answers: SiteAnswers
  notes: string[]
}

/** What the inventory says about one machine and, by its variables, about the site. */
interface Found {
  node: NodeAnswer
  key: string | undefined
  kubernetes: string | undefined
  nfsPath: string | undefined
  /** joined by commas */
  nameservers: string | undefined
  password: boolean
  sudo: boolean
}

/**
 * Converts an inventory of kubespray and, if named, a values file. Secrets are neither converted nor shown. Throws SITE_INVALID with all
 * mistakes together, VALUES_INVALID, FILE_NOT_FOUND.
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
      `${inventory.file}: no machine is in a group of a role: ${roleGroups.map(([, [group]]) => group).join(', ')}`,
    )
  if (mistakes.length > 0) throw unfit(mistakes, inventory.file)
  notes.push(...etcdNotes(inventory), ...groupNotes(inventory), ...variableNotes(inventory))
  const values = from.values === undefined ? {} : await readValues(from.values, notes)
  const nodes = found.map(({ node }) => node)
  const { login, rest } = commonLogin(nodes)
  const ssh = { ...login, ...sshOf(found, notes) }
  const nfs = nfsOf(found, values.nfs, notes)
  const shape = siteFileSchema.shape.versions.unwrap().shape
  const nameservers = only(
    found.map(one => [one.node.name, one.nameservers]),
    nameserverList,
    { what: 'upstream_dns_servers', notes },
  )
  const version = only(
    found.map(({ node, kubernetes }) => [node.name, kubernetes]),
    shape.kubernetes,
    { what: 'kube_version', notes },
  )
  return {
    answers: {
      ...values,
      ...defined({
        nameservers: nameservers?.split(','),
        nfs,
        ssh: Object.keys(ssh).length === 0 ? undefined : ssh,
        versions: version === undefined ? undefined : { kubernetes: version },
      }),
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
  const value = (of: Exclude<keyof typeof converted, 'nameservers'>) => {
    for (const key of converted[of]) {
      const one = variables.get(key)
      const text = plain(one)
      if (text !== undefined && isTemplate(text))
        notes.push(`not converted: ${name}: ${key}: templates ({{ }}) are not evaluated`)
      else if (text !== undefined && text !== '') return text
      else if (one !== undefined && one !== null && text === undefined)
        notes.push(`not converted: ${name}: ${key}: not plain text`)
    }
    return undefined
  }
  const [address, user, port] = [value('address'), value('user'), value('port')]
  for (const key of converted.address) {
    const other = plain(variables.get(key))
    if (other !== undefined && address !== undefined && other !== address && !isTemplate(other))
      notes.push(
        `not converted: ${name}: ${key}: ${shown(other)}: a machine has one address, ${shown(address)}`,
      )
  }
  const node: NodeAnswer = {
    name,
    address: address ?? '',
    roles,
    ...defined({ user, port: port === undefined ? undefined : portOf(port) }),
  }
  const where = `${host.place}: ${shown(name)}`
  mistakes.push(
    ...(address === undefined
      ? [`${where}: has no address; set ip or ansible_host`]
      : mistakesOf(siteFileSchema.shape.nodes.element, node, where)),
  )
  const set = (key: string) => variables.get(key) !== undefined && variables.get(key) !== ''
  return {
    node,
    key: value('key'),
    kubernetes: value('kubernetes'),
    nfsPath: roles.includes('nfs') ? value('nfsPath') : undefined,
    nameservers: nameserversOf(name, variables.get(converted.nameservers[0]), notes),
    password: loginPasswords.some(set),
    sudo: sudoPasswords.some(set) && user !== undefined && user !== 'root',
  }
}

const nameserverList = z
  .string()
  .transform(text => text.split(','))
  .pipe(siteFileSchema.shape.nameservers.unwrap())

function nameserversOf(machine: string, value: unknown, notes: string[]): string | undefined {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return undefined
  const texts = Array.isArray(value) ? value.map(plain) : [undefined]
  if (texts.every(text => text !== undefined)) return texts.join(',')
  notes.push(`not converted: ${machine}: ${converted.nameservers[0]}: not a list of addresses`)
  return undefined
}

/** NaN, which the schema refuses, for anything but a number. */
function portOf(text: string): number {
  return /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
}

function rolesOf(name: string, { members }: Inventory, notes: string[]): string[] | undefined {
  const roles: string[] = roleGroups.flatMap(([role, groups]) =>
    groups.some(group => members.get(group)?.has(name)) ? [role] : [],
  )
  if (roles.length === 0) {
    notes.push(`not converted: ${name}: not in a group of any role`)
    return undefined
  }
  if (!roles.includes('gpu') || roles.includes('worker')) return roles
  notes.push(`${name} becomes a worker as well: only workers run pods that use its GPUs`)
  return ['worker', ...roles]
}

function sshOf(
  found: readonly Found[],
  notes: string[],
): Omit<NonNullable<SiteAnswers['ssh']>, 'user' | 'port'> {
  const withoutUser = found.filter(({ node }) => node.user === undefined).map(({ node }) => node.name)
  if (withoutUser.length > 0)
    notes.push(`${some(withoutUser)}: no ansible_user: root logs in unless --user is set`)
  const password = found.some(one => one.password)
  const sudo = found.some(one => one.sudo)
  if (password)
    notes.push('ssh.password is true: offline-deploy prompts for the SSH password; it is in no file')
  if (sudo) notes.push('ssh.sudo is password: offline-deploy prompts for the sudo password; it is in no file')
  const privateKey = only(
    found.map(({ node, key }) => [node.name, key]),
    siteFileSchema.shape.ssh.unwrap().shape.privateKey,
    { what: 'private key', notes },
  )
  return defined({
    privateKey,
    password: password || undefined,
    sudo: sudo ? ('password' as const) : undefined,
  })
}

/** The value, where all machines that have one have the same. */
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
        `not converted: ${what} ${shown(value)} of ${some(of.map(([name]) => name))}: site.yaml has one for all machines`,
      )
    return undefined
  }
  const wrong = mistakesOf(schema, first, what)
  notes.push(...wrong.map(text => `not converted: ${text}: ${shown(first)}`))
  return wrong.length === 0 ? first : undefined
}

/** Moves user and port that all machines share out of the machines. */
function commonLogin(nodes: NodeAnswer[]): { login: SiteAnswers['ssh']; rest: NodeAnswer[] } {
  const common = <T>(of: (node: NodeAnswer) => T | undefined): T | undefined => {
    const [first, ...others] = new Set(nodes.map(of))
    return others.length === 0 ? first : undefined
  }
  const [user, port] = [common(node => node.user), common(node => node.port)]
  return {
    login: defined({ user, port }),
    rest: nodes.map(({ user: ownUser, port: ownPort, ...node }) => ({
      ...node,
      ...defined({
        user: user === undefined ? ownUser : undefined,
        port: port === undefined ? ownPort : undefined,
      }),
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
  return { server, ...defined({ path }), ...values }
}

const maxListed = 50

function unfit(mistakes: string[], file: string): AirgapError {
  const more = mistakes.length > maxListed ? [`  … and ${mistakes.length - maxListed} more`] : []
  const listed = mistakes.slice(0, maxListed).map(line => `  ${line}`)
  return new AirgapError(
    'SITE_INVALID',
    ['the inventory cannot be converted to site.yaml:', ...listed, ...more],
    { item: file, next: 'correct a copy of the inventory and pass it with --from; nothing was written' },
  )
}
