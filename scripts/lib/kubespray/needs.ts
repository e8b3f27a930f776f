import { compareText } from '../../../src/core/canonical-json.ts'
import { formatReference, parseReference } from '../../../src/core/reference.ts'
import { evaluate, generate, type Workspace } from './checkout.ts'
import { conditionsOf, downloadsOfRoles } from './roles.ts'

/** What kubespray can download, and what of it the inventory's cluster needs. */
export interface Needs {
  kubernetes: string
  containerManager: string
  networkPlugin: string
  files: NeededFile[]
  images: NeededImage[]
}

export interface NeededFile {
  /** name of the download in kubespray: `kubelet` */
  name: string
  url: string
  /** name of the download, or names where several share the image */
  architectures: string[]
  /** hex digits; absent where kubespray has none */
  sha256?: string
  needed: boolean
}

export interface NeededImage {
  name: string
  reference: string
  needed: boolean
}

interface Download {
  enabled: unknown
  container?: unknown
  groups: string[] | string
  repo?: string
  tag?: string | number
  url?: string
  sha256?: unknown
  /** since 2.28: `sha256:…` */
  checksum?: unknown
}

interface Answer {
  downloads: Record<string, Download>
  groups: string[]
  containers: unknown
  kubernetes: string
  containerManager: string
  networkPlugin: string
  conditions: Record<string, unknown>
}

/** ansible_architecture, as a machine of that architecture reports it. */
const machines: Record<string, string> = { amd64: 'x86_64', arm64: 'aarch64' }

export const knownArchitectures = Object.keys(machines)

/** What ansible finds out about a machine, as far as kubespray's downloads depend on it. */
export function machineVariables(architecture: string): Record<string, unknown> {
  return {
    ansible_architecture: machines[architecture],
    ansible_system: 'Linux',
    image_arch: architecture,
  }
}

/** `set` has the precedence of ansible's `-e`: above everything. */
export async function needsOf(
  workspace: Workspace,
  { architectures, set }: { architectures: readonly string[]; set: Record<string, unknown> },
): Promise<Needs> {
  const files = new Map<string, NeededFile>()
  const images = new Map<string, NeededImage>()
  let facts: Answer | undefined
  for (const architecture of architectures) {
    const extra = { ...machineVariables(architecture), ...set }
    const listed = await generate(workspace, extra)
    facts = await evaluate<Answer>(workspace, { extra, templates: templates(workspace) })
    const wanted = wantedOf(workspace, facts)
    for (const [name, download] of Object.entries(facts.downloads)) {
      const image = isTrue(download.container)
      const needed = wanted(name, download)
      if (download.url) addFile(files, { name, download, architecture, needed: needed && !image })
      if (download.repo)
        addImage(images, `${download.repo}:${download.tag}`, { name, needed: needed && image })
    }
    // added by the generator itself: kubeadm's images, which every cluster pulls and no download names
    for (const written of listed.images) {
      const reference = formatReference(parseReference(written))
      if (!images.has(reference))
        images.set(reference, { name: lastPart(reference), reference, needed: true })
    }
    for (const url of listed.files)
      addFile(files, { name: lastPart(url), download: { url }, architecture, needed: false })
  }
  const { kubernetes = '', containerManager = '', networkPlugin = '' } = facts ?? {}
  return {
    kubernetes,
    containerManager,
    networkPlugin,
    files: [...files.values()].sort((a, b) => compareText(a.url, b.url)),
    images: [...images.values()].sort((a, b) => compareText(a.reference, b.reference)),
  }
}

function templates(workspace: Workspace): Record<string, unknown> {
  return {
    downloads: '{{ downloads }}',
    groups: '{{ group_names }}',
    containers: '{{ download_container }}',
    kubernetes: '{{ kube_version }}',
    containerManager: '{{ container_manager }}',
    networkPlugin: '{{ kube_network_plugin }}',
    conditions: conditionsOf(workspace.roles),
  }
}

/** The `when` of kubespray's download task; and what roles download without it. */
function wantedOf({ roles }: Workspace, answer: Answer): (name: string, download: Download) => boolean {
  const taken = downloadsOfRoles(roles, condition => isTrue(answer.conditions[condition]))
  return (name, { enabled, container, groups }) => {
    if (isTrue(container) && !isTrue(answer.containers)) return false
    if (taken.has(name)) return true
    return isTrue(enabled) && [groups].flat().some(group => answer.groups.includes(group))
  }
}

function addFile(
  files: Map<string, NeededFile>,
  found: {
    name: string
    download: Pick<Download, 'url' | 'sha256' | 'checksum'>
    architecture: string
    needed: boolean
  },
): void {
  const { name, download, architecture, needed } = found
  const url = download.url!
  const file = files.get(url) ?? { name, url, architectures: [], needed: false }
  files.set(url, file)
  if (!file.architectures.includes(architecture)) file.architectures.push(architecture)
  file.needed ||= needed
  // kubespray writes 0 or none where there is no checksum
  const sha256 = /^(?:sha256:)?([0-9a-f]{64})$/.exec(String(download.checksum ?? download.sha256))?.[1]
  if (sha256 !== undefined) file.sha256 = sha256
}

function addImage(
  images: Map<string, NeededImage>,
  written: string,
  { name, needed }: { name: string; needed: boolean },
): void {
  const reference = formatReference(parseReference(written))
  const known = images.get(reference)
  if (known === undefined) images.set(reference, { name, reference, needed })
  else known.needed ||= needed
}

function lastPart(text: string): string {
  return text.slice(text.lastIndexOf('/') + 1).split(':')[0]!
}

/** ansible's `bool` filter: variables may be strings. */
function isTrue(value: unknown): boolean {
  return value === true || /^(true|yes|on|1)$/i.test(String(value))
}
