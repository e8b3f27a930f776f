import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Deployment, Renderer } from '../../../src/discover/deployment.ts'
import { type Discovered, discover } from '../../../src/discover/discover.ts'

/** A deployment tree of a test, rendered by the real helmfile and helm. */

const tools = resolve(import.meta.dirname, '../../../.tools/bin')
process.env['PATH'] = `${tools}:${process.env['PATH']}`

export const environments =
  'environments:\n  prod: {values: [{offline: {registry: "", httpServer: "", enabled: false}}]}\n---\n'

export const chartYaml = (name: string, more = '') => `apiVersion: v2\nname: ${name}\nversion: 1.0.0\n${more}`

/** A template whose image comes from the site's registry where there is one, `quay.io` otherwise. */
export const podTemplate = (name: string, image: string) => `apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec: {containers: [{name: c, image: "{{ .Values.registry | default "quay.io" }}/${image}"}]}
`

export const release = (name: string, chart: string, more = '') => `  - name: ${name}
    namespace: demo
    chart: ${chart}
    values: [{registry: {{ .Values.offline.registry | quote }}}]
${more}`

/** Writes files (path → text; scripts executable) into a new folder. */
export async function writeTree(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-tree-'))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text, { mode: text.startsWith('#!') ? 0o755 : 0o644 })
  }
  return folder
}

export async function discoverTree(
  folder: string,
  { deployment = {}, renderer = {} }: { deployment?: Partial<Deployment>; renderer?: Partial<Renderer> } = {},
): Promise<Discovered> {
  const helmfile = join(folder, 'helmfile.yaml.gotmpl')
  const { signal } = new AbortController()
  return await discover([{ helmfile, environment: 'prod', values: [], ...deployment }], {
    helm: 'helm',
    helmfile: 'helmfile',
    signal,
    ...renderer,
  })
}

/** Names of the images that are not dormant. */
export function upstreams({ images }: Discovered): string[] {
  return images.filter(image => image.dormant === undefined).map(image => image.upstream)
}
