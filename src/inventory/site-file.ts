import { stat } from 'node:fs/promises'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { type Mistake, type PositionedDocument, parsePositioned } from '../document/positioned.ts'
import { readText } from '../document/read-text.ts'
import { type SiteFile, siteFileSchema } from './schema.ts'
import { secretMistakes } from './site-secrets.ts'

const maxSize = 4 << 20 /* bytes: 5,000 nodes have less than 1 MB */

/** Reads and checks site.yaml; reports all mistakes together. Throws SITE_INVALID, FILE_NOT_FOUND, PERMISSION (others can read its secrets). */
export async function readSiteFile(path: string): Promise<SiteFile> {
  const text = await readText(path, {
    maxSize,
    invalid: what =>
      new AirgapError('SITE_INVALID', what, {
        item: path,
        next: 'pass the site.yaml of this site, in UTF-8; `offline-deploy init` writes a new one',
      }),
  })
  const site = parseSiteFile(text, path)
  if (Object.keys(site.secrets).length > 0) await refuseReadable(path)
  return site
}

/** Secrets that others could read are not secret. */
async function refuseReadable(path: string): Promise<void> {
  const { mode } = await stat(path).catch(error => {
    throw fromSystemError(error, path)
  })
  if ((mode & 0o077) === 0) return
  throw new AirgapError('PERMISSION', 'other users can read the secrets in site.yaml', {
    item: path,
    likely:
      'an editor made it with another mode, or it is on a medium without file permissions (vfat, exfat, NTFS)',
    next: `chmod 600 ${path}, and change the secrets that somebody may have read; on such a medium, keep the state folder on a local disk with --site`,
  })
}

/** Throws SITE_INVALID with `file:line:column` of every mistake. */
export function parseSiteFile(text: string, file: string): SiteFile {
  const document = parsePositioned(text, {
    file,
    schema: siteFileSchema,
    words: {
      code: 'SITE_INVALID',
      what: 'site.yaml is invalid',
      next: '`offline-deploy init --dry-run` shows every key with an explanation; nothing was changed',
    },
  })
  document.refuse([
    ...templates(document.value),
    ...secretMistakes(document.value),
    ...contradictions(document),
  ])
  return document.value
}

/** Text that ansible, helmfile or a chart would evaluate instead of using it as it is. */
function templates(value: unknown, path: PropertyKey[] = []): Mistake[] {
  if (typeof value === 'string' && /\{\{|\{%|\{#/.test(value))
    return [{ path, what: `${path.join('.')}: templates ({{ }}) are not evaluated; write the value itself` }]
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(/\{\{|\{%|\{#/.test(key)
      ? [
          {
            path: [...path, key],
            part: 'key' as const,
            what: `${key}: templates ({{ }}) are not evaluated`,
          },
        ]
      : []),
    ...templates(inner, [...path, Array.isArray(value) ? Number(key) : key]),
  ])
}

function contradictions({ value, at }: PositionedDocument<SiteFile>): Mistake[] {
  const { nodes, nfs, switches, kubeconfig } = value
  const mistakes: Mistake[] = []
  for (const key of ['name', 'address'] as const) {
    const first = new Map<string, number>()
    nodes.forEach((node, i) => {
      const before = first.get(node[key])
      if (before === undefined) first.set(node[key], i)
      else
        mistakes.push({
          path: ['nodes', i, key],
          what: `nodes.${i}.${key}: ${node[key]} appears twice, first at ${at(['nodes', before, key])}`,
        })
    })
  }
  nodes.forEach(({ roles }, i) => {
    roles.forEach((role, j) => {
      if (roles.indexOf(role) !== j)
        mistakes.push({ path: ['nodes', i, 'roles', j], what: `nodes.${i}.roles: ${role} appears twice` })
    })
    if (roles.includes('gpu') && !roles.includes('worker'))
      mistakes.push({
        path: ['nodes', i, 'roles'],
        what: `nodes.${i}.roles: a gpu node must also be a worker, or no pod could use its GPUs`,
      })
  })
  const withRole = (role: SiteFile['nodes'][number]['roles'][number]) =>
    nodes.filter(({ roles }) => roles.includes(role))
  if (switches.kubernetes) {
    const control = withRole('control-plane').length
    if (control === 0) mistakes.push({ path: ['nodes'], what: 'nodes: no node has the role control-plane' })
    else if (control % 2 === 0)
      mistakes.push({
        path: ['nodes'],
        what: `nodes: ${control} have the role control-plane: etcd needs an odd number (1, 3 or 5), as an even one tolerates no more failures; to add two at once, write both into site.yaml`,
      })
    if (withRole('worker').length === 0)
      mistakes.push({ path: ['nodes'], what: 'nodes: no node has the role worker' })
    if (kubeconfig !== undefined)
      mistakes.push({
        path: ['kubeconfig'],
        what: 'kubeconfig: names an existing cluster, but switches.kubernetes would install one: set switches.kubernetes to false, or remove kubeconfig',
      })
  } else if (kubeconfig === undefined) {
    mistakes.push({
      path: ['switches', 'kubernetes'],
      what: 'switches.kubernetes: is false, so kubeconfig must name the existing cluster',
    })
  }
  const servers = withRole('nfs')
  if (servers.length > 0 && nfs === undefined)
    mistakes.push({ path: ['nodes'], what: 'nfs: is missing, but a node has the role nfs' })
  if (servers.length > 1)
    mistakes.push({
      path: ['nodes'],
      what: `nodes: ${servers.length} have the role nfs: only one server can export the folder`,
    })
  const [server] = servers
  if (server !== undefined && nfs !== undefined && ![server.address, server.name].includes(nfs.server))
    mistakes.push({
      path: ['nfs', 'server'],
      what: `nfs.server: is ${nfs.server}, but ${server.name} (${server.address}) has the role nfs`,
    })
  return mistakes
}
