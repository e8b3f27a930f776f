import { readFile, stat } from 'node:fs/promises'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { type Mistake, type PositionedDocument, parsePositioned } from '../document/positioned.ts'
import { type SiteFile, siteFileSchema } from './schema.ts'

const maxSize = 4 << 20 /* bytes: 5,000 nodes have less than 1 MB */

/** Reads and checks site.yaml; every mistake is told at once. Throws SITE_INVALID, FILE_NOT_FOUND. */
export async function readSiteFile(path: string): Promise<SiteFile> {
  return parseSiteFile(await textOf(path), path)
}

/** Throws SITE_INVALID with `file:line:column` of every mistake. */
export function parseSiteFile(text: string, file: string): SiteFile {
  const document = parsePositioned(text, {
    file,
    schema: siteFileSchema,
    words: {
      code: 'SITE_INVALID',
      what: 'the file of the site is not right',
      next: '`offline-deploy init --dry-run` shows every key with an explanation; nothing was changed',
    },
  })
  document.refuse([...templates(document.value), ...contradictions(document)])
  return document.value
}

/** What ansible, helmfile or a chart would evaluate instead of taking it as it stands. */
function templates(value: unknown, path: PropertyKey[] = []): Mistake[] {
  if (typeof value === 'string' && /\{\{|\{%|\{#/.test(value))
    return [
      { path, what: `${path.join('.')}: templates ({{ }}) are not evaluated here: write the value itself` },
    ]
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(/\{\{|\{%|\{#/.test(key)
      ? [
          {
            path: [...path, key],
            part: 'key' as const,
            what: `${key}: templates ({{ }}) are not evaluated here`,
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
          what: `nodes.${i}.${key}: ${node[key]} stands twice, first at ${at(['nodes', before, key])}`,
        })
    })
  }
  nodes.forEach(({ roles }, i) => {
    roles.forEach((role, j) => {
      if (roles.indexOf(role) !== j)
        mistakes.push({ path: ['nodes', i, 'roles', j], what: `nodes.${i}.roles: ${role} stands twice` })
    })
    if (roles.includes('gpu') && !roles.includes('worker'))
      mistakes.push({
        path: ['nodes', i, 'roles'],
        what: `nodes.${i}.roles: a gpu node must be a worker, too: nothing could run on its GPUs`,
      })
  })
  const withRole = (role: SiteFile['nodes'][number]['roles'][number]) =>
    nodes.filter(({ roles }) => roles.includes(role))
  if (switches.kubernetes) {
    const control = withRole('control-plane').length
    if (control === 0) mistakes.push({ path: ['nodes'], what: 'nodes: none has the role control-plane' })
    else if (control % 2 === 0)
      mistakes.push({
        path: ['nodes'],
        what: `nodes: ${control} have the role control-plane: etcd needs an odd number (1, 3 or 5), an even one only adds what can fail; for two more at once, write both into site.yaml`,
      })
    if (withRole('worker').length === 0)
      mistakes.push({ path: ['nodes'], what: 'nodes: none has the role worker' })
    if (kubeconfig !== undefined)
      mistakes.push({
        path: ['kubeconfig'],
        what: 'kubeconfig: names a cluster that is there, but switches.kubernetes would make one: set it to false, or leave kubeconfig out',
      })
  } else if (kubeconfig === undefined) {
    mistakes.push({
      path: ['switches', 'kubernetes'],
      what: 'switches.kubernetes: false, so kubeconfig has to name the cluster that is there',
    })
  }
  const servers = withRole('nfs')
  if (servers.length > 0 && nfs === undefined)
    mistakes.push({ path: ['nodes'], what: 'nfs: is missing, and a node has the role nfs' })
  if (servers.length > 1)
    mistakes.push({
      path: ['nodes'],
      what: `nodes: ${servers.length} have the role nfs: one folder has one server`,
    })
  const [server] = servers
  if (server !== undefined && nfs !== undefined && ![server.address, server.name].includes(nfs.server))
    mistakes.push({
      path: ['nfs', 'server'],
      what: `nfs.server: is ${nfs.server}, but ${server.name} (${server.address}) has the role nfs`,
    })
  return mistakes
}

async function textOf(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size <= maxSize) return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path))
  } catch (error) {
    if (!(error instanceof TypeError)) throw fromSystemError(error, path)
    throw new AirgapError('SITE_INVALID', 'the file is not UTF-8 text', {
      item: path,
      next: 'save it as UTF-8; `offline-deploy init` writes a new one',
    })
  }
  throw new AirgapError('SITE_INVALID', `larger than ${maxSize >> 20} MiB`, {
    item: path,
    likely: 'another kind of file',
    next: 'name the site.yaml of this site',
  })
}
