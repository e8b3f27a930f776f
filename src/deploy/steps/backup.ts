import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Step } from '../../install/step.ts'
import { backupStep } from '../../install/steps/backup.ts'
import type { MachineParts } from './parts.ts'

/** Backs up what an upgrade changes; comes before every step that changes something. */
export function backup({ install, state, bundles, tools }: MachineParts): Step {
  const { site, deployment, folder, tree } = install
  const { paths } = state
  const playbook = deployment.playbooks.backup
  return backupStep({
    folder: join(state.folder, 'backups'),
    copies: {
      'site.yaml': paths.siteFile,
      'config.json': paths.config,
      'journal.jsonl': paths.journal,
      'trust.json': paths.trust,
      inventory: paths.inventory,
      [tree.name]: folder,
    },
    cluster: tools.cluster,
    ansible: tools.ansible,
    cwd: folder,
    playbook: playbook !== undefined && site.switches.kubernetes ? join(folder, playbook) : undefined,
    backups: deployment.backups.filter(
      ({ application }) => site.switches.applications[application] !== false,
    ),
    // one for each change from what is installed to what comes, also where that change was made before
    inputs: async () => ({
      from: await readFile(paths.installed, 'utf8').catch(() => ''),
      to: bundles.map(({ identity }) => identity.digest),
    }),
  })
}
