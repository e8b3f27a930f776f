import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readAll } from '../../content/read.ts'
import { folderDigest } from '../../install/folder-digest.ts'
import type { Step } from '../../install/step.ts'
import { applicationStep } from '../../install/steps/application.ts'
import type { MachineParts } from './parts.ts'

/** One step for each application that site.yaml does not switch off. `before`: ids of the steps before them. */
export async function applications(parts: MachineParts, before: readonly string[]): Promise<Step[]> {
  const { install, tools, upgrade } = parts
  const { site, deployment, folder } = install
  if (deployment.applications === undefined) return []
  const { helmfile, order } = deployment.applications
  const environment = join('environments', site.environment)
  const wanted = order.filter(name => site.switches.applications[name] !== false)
  const steps: Step[] = []
  for (const name of inUpgradeOrder(wanted, upgrade?.order ?? [])) {
    const own = `applications/${name}`
    const charts = await chartsOf(own, parts)
    const decides = [own, helmfile, 'environments/common', join(environment, 'values.yaml')]
    steps.push(
      applicationStep({
        name,
        environment: site.environment,
        cluster: tools.cluster,
        program: tools.program,
        needs: before.filter(id => ['control-host', 'secrets', 'kubernetes', 'nfs'].includes(id)),
        helmfile: join(folder, helmfile),
        inputs: async () => ({
          files: await folderDigest(folder, decides),
          charts,
          secrets: await changeOf(join(folder, environment, 'secrets.yaml')),
        }),
      }),
    )
  }
  return steps
}

/** What the rules name comes first, in their order; the others keep theirs. */
function inUpgradeOrder(names: readonly string[], order: readonly string[]): string[] {
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length)
  return names.toSorted((a, b) => place(a) - place(b))
}

/** The bundle's charts that an application's files name: file → digest. */
async function chartsOf(own: string, { install, charts }: MachineParts): Promise<[string, string][]> {
  const { entries, tree } = install
  let text = ''
  for (const [path, { descriptor, mode }] of entries) {
    if (path.startsWith(`${own}/`) && /\.ya?ml(?:\.gotmpl)?$/.test(path) && mode !== '120000')
      text += (await readAll(tree.store, descriptor)).toString('utf8')
  }
  return [...charts].flatMap(([file, { descriptor }]) =>
    text.includes(file) ? [[file, descriptor.digest]] : [],
  )
}

/** A digest of secrets would reveal something about them; size and time of the last change do not. */
async function changeOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  return found === undefined ? 'none' : `${found.size} ${Math.trunc(found.mtimeMs)}`
}
