import type { Step } from '../../install/step.ts'
import { controlHostStep } from '../../install/steps/control-host.ts'
import { treeEntries } from '../bundle-trees.ts'
import type { MachineParts } from './parts.ts'

export async function controlHost(parts: MachineParts): Promise<Step> {
  const { install, bundles, store, files, state, tools } = parts
  const { deployment, entries, folder } = install
  const requirements = deployment.python && entries.get(deployment.python.requirements)
  return controlHostStep({
    deployment,
    program: tools.program,
    tree: folder,
    folder: state.paths.tools,
    files: { store, entries: files },
    wheels: { store, entries: await treeEntries(bundles, 'pypi') },
    requirements: requirements?.descriptor.digest ?? null,
  })
}
