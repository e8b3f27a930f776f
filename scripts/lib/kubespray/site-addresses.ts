import { formatReference } from '../../../src/core/reference.ts'
import type { StackManifest } from '../../../src/manifest/stack.ts'
import { evaluateEach, type Workspace } from './checkout.ts'
import { defaultPath } from './compare.ts'
import { machineVariables, type Needs } from './needs.ts'

/** An address of the site's inventory that does not work with this kubespray and this manifest. */
export interface SiteProblem {
  /** name of the download in kubespray */
  name: string
  /** as the inventory's variables make it; undefined where ansible cannot evaluate them */
  address?: string
  why: string
}

/** Placeholders for what offline-deploy writes on the site: reserved names (RFC 6761). */
const site = {
  http_server: 'http://files.airgap.invalid:8080',
  registry_host: 'registry.airgap.invalid:35000',
}

/**
 * Evaluates the inventory's own addresses of everything that the cluster needs, and looks each one up in the manifest: a variable
 * that kubespray no longer defines, or defines in another form, is found here instead of on the site. An inventory that names no
 * mirror has no problems.
 */
export async function siteProblems(
  workspace: Workspace,
  {
    needs,
    manifest,
    architectures,
    set,
  }: {
    needs: Needs
    manifest: StackManifest
    architectures: readonly string[]
    set: Record<string, unknown>
  },
): Promise<SiteProblem[]> {
  const wanted = wantedOf(workspace, needs)
  // what the manifest lacks is reported as missing; here, only its address counts
  const files = new Set([
    ...manifest.files.map(file => file.path),
    ...needs.files.map(file => defaultPath(file.url)),
  ])
  const images = new Set(
    [
      ...manifest.images.map(({ reference }) => formatReference(reference)),
      ...needs.images.map(one => one.reference),
    ].flatMap(namesOnSite),
  )
  const found = new Map<string, SiteProblem>()
  let isMirrored = false
  for (const architecture of architectures) {
    const extra = { ...machineVariables(architecture), ...site, ...set }
    const answers = await evaluateEach(workspace, { extra, templates: wanted.map(one => one.template) })
    for (const [i, answer] of answers.entries()) {
      const { name, isImage } = wanted[i]!
      if ('error' in answer) {
        found.set(`${name}\n${answer.error}`, { name, why: answer.error })
        continue
      }
      const address = answer.value
      if (Object.values(site).some(server => address.startsWith(`${server}/`))) isMirrored = true
      const why = isImage ? imageProblem(address, images) : fileProblem(address, files)
      if (why !== undefined) found.set(`${name}\n${address}`, { name, address, why })
    }
  }
  return isMirrored ? [...found.values()] : []
}

interface Wanted {
  name: string
  template: string
  isImage: boolean
}

function wantedOf({ downloads }: Workspace, needs: Needs): Wanted[] {
  const files = new Set(needs.files.filter(file => file.needed).map(file => file.name))
  const images = new Set(needs.images.filter(image => image.needed).map(image => image.name))
  return Object.entries(downloads).flatMap(([name, { url, repo, tag }]): Wanted[] => {
    if (files.has(name) && typeof url === 'string') return [{ name, template: url, isImage: false }]
    if (images.has(name) && typeof repo === 'string')
      return [{ name, template: `${repo}:${tag}`, isImage: true }]
    return []
  })
}

function fileProblem(address: string, paths: ReadonlySet<string>): string | undefined {
  if (!address.startsWith(`${site.http_server}/`)) return 'it is not an address of the site'
  const path = address.slice(`${site.http_server}/files/`.length)
  return paths.has(path) ? undefined : 'the site would answer 404: no file of the manifest has this path'
}

function imageProblem(address: string, names: ReadonlySet<string>): string | undefined {
  if (!address.startsWith(`${site.registry_host}/`)) return 'it is not an address of the site'
  const name = address.slice(site.registry_host.length + 1)
  return names.has(name) ? undefined : 'the site would answer 404: no image of the manifest has this name'
}

/** The site serves an image without the host of its registry, and with it. */
function namesOnSite(reference: string): string[] {
  const bare = reference.slice(reference.indexOf('/') + 1)
  return reference.startsWith('docker.io/library/')
    ? [reference, bare, bare.slice('library/'.length)]
    : [reference, bare]
}
