import { readFile, realpath } from 'node:fs/promises'
import { writeAtomically } from '../core/atomic-file.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { withNode, withoutNode } from '../inventory/edit.ts'
import type { SiteFile, SiteNode } from '../inventory/schema.ts'
import { parseSiteFile } from '../inventory/site-file.ts'
import { pathsOf, type SiteState } from '../site/state.ts'
import { findSite } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

interface OpenSiteFile {
  paths: SiteState['paths']
  text: string
  site: SiteFile
}

/** site.yaml as it is. Throws FILE_NOT_FOUND, SITE_INVALID. */
export async function readSite(options: SiteOptions): Promise<OpenSiteFile> {
  const { siteFolder } = await findSite(options)
  const paths = pathsOf(siteFolder)
  const text = await readFile(paths.siteFile, 'utf8').catch(error => {
    throw fromSystemError(error, paths.siteFile)
  })
  return { paths, text, site: parseSiteFile(text, paths.siteFile) }
}

export interface EditedSite {
  /** of site.yaml */
  path: string
  nodes: SiteNode[]
}

/** Adds a machine to site.yaml; with `dryRun` only checks the result. Throws SITE_INVALID. */
export async function addNode(
  options: SiteOptions,
  node: Parameters<typeof withNode>[1],
  { dryRun }: { dryRun: boolean },
): Promise<EditedSite> {
  const found = await readSite(options)
  return await writeSite(found, withNode(found.text, node), { dryRun })
}

/** Removes a machine from site.yaml, not from the cluster. Throws USAGE for a name that is not in it. */
export async function removeNode(
  options: SiteOptions,
  name: string,
  { dryRun }: { dryRun: boolean },
): Promise<EditedSite> {
  const found = await readSite(options)
  const index = found.site.nodes.indexOf(nodeNamed(found.site, name))
  return await writeSite(found, withoutNode(found.text, index), { dryRun })
}

/** Removes the host keys of a machine, which the next connection then learns again. Returns how many there were. */
export async function forgetHostKeys(options: SiteOptions, name: string): Promise<number> {
  const { site, paths } = await readSite(options)
  const node = nodeNamed(site, name)
  const hosts = [node.address, `[${node.address}]:${node.port ?? site.ssh.port}`, node.name]
  const text = await readFile(paths.knownHosts, 'utf8').catch(error => {
    if (errnoOf(error) === 'ENOENT') return ''
    throw fromSystemError(error, paths.knownHosts)
  })
  const lines = text.split('\n')
  const kept = lines.filter(line => !(line.split(' ')[0] ?? '').split(',').some(host => hosts.includes(host)))
  if (kept.length < lines.length) await writeAtomically(paths.knownHosts, kept.join('\n'), 0o600)
  return lines.length - kept.length
}

/** Throws USAGE for a name that is not in site.yaml. */
export function nodeNamed({ nodes }: SiteFile, name: string): SiteNode {
  const node = nodes.find(one => one.name === name)
  if (node !== undefined) return node
  throw new AirgapError('USAGE', 'site.yaml has no machine of that name', {
    item: name,
    likely: `it has ${nodes.map(one => one.name).join(', ')}`,
    next: 'name one of them; `offline-deploy nodes list` shows them',
  })
}

/** The result is checked before it is written. */
async function writeSite(
  { paths: { siteFile } }: OpenSiteFile,
  text: string,
  { dryRun }: { dryRun: boolean },
): Promise<EditedSite> {
  const { nodes } = parseSiteFile(text, siteFile)
  // the target of a link, not the link itself
  if (!dryRun) await writeAtomically(await realpath(siteFile), text, 0o600)
  return { path: siteFile, nodes }
}
