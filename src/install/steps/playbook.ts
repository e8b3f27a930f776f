import { isErrorCode } from '../../core/errors.ts'
import { type Ansible, askMachines, playbookCommand, runPlaybook } from '../ansible.ts'
import { shellWord } from '../shell-word.ts'
import { type Step, type StepContext, stepKey } from '../step.ts'

export interface PlaybookStepOptions {
  id: string
  title: string
  needs: readonly string[]
  ansible: Ansible
  playbook: string
  cwd: string
  /** which machines, as ansible writes it, and their names */
  pattern: string
  machines: readonly string[]
  /** these alone, as ansible writes it, and the names of those among `machines` */
  limit?: { pattern: string; machines: readonly string[] } | undefined
  /** everything that decides what it does: digests of roles and of the inventory */
  inputs: () => Promise<object>
  /** what it does there, one line each */
  does: readonly string[]
  /** runs before the playbook, for the machines of this ansible pattern: what its roles read beside the inventory */
  prepare?: (pattern: string, context: StepContext) => Promise<void>
}

/**
 * A playbook of the deployment tree. What is done is told by the machines themselves: each keeps the key of the step that was
 * done last, so that one which was installed anew is not taken for ready.
 */
export function playbookStep(options: PlaybookStepOptions): Step {
  const { id, title, needs, ansible, playbook, cwd, machines, does } = options
  const limit = options.limit?.pattern
  const pattern = limit ?? options.pattern
  const wanted = options.limit?.machines ?? machines
  const stamp = `/etc/airgap-${id}.stamp`
  const key = () => stepKey({ id, inputs: options.inputs })
  const run = { name: id, playbook, cwd, limit }
  return {
    id,
    title,
    needs,
    inputs: async () => ({ of: await options.inputs(), machines, limit: limit ?? null }),
    describe: async () => [
      `on ${namesOf(machines, limit)}: ${does.join('; ')}`,
      playbookCommand(ansible, run).map(shellWord).join(' '),
    ],
    async check({ signal }) {
      const answers = await askMachines(ansible, {
        ...{ name: id, pattern, module: 'ansible.builtin.slurp', signal },
        arguments: { src: stamp },
      }).catch(error => {
        // without ansible nobody can be asked: the step that brings it stands before this one
        if (isErrorCode(error, 'TOOL_MISSING')) return new Map<string, Record<string, unknown>>()
        throw error
      })
      const expected = await key()
      // one that does not answer has no stamp
      const there = (name: string) =>
        Buffer.from(String(answers.get(name)?.['content'] ?? ''), 'base64').toString() === expected
      return wanted.every(there) ? 'done' : 'pending'
    },
    async apply(context) {
      await options.prepare?.(pattern, context)
      await runPlaybook(ansible, run, context)
      await askMachines(ansible, {
        ...{ name: id, pattern, module: 'ansible.builtin.copy', signal: context.signal },
        arguments: { content: await key(), dest: stamp, mode: '0644' },
      })
    },
  }
}

/** At most eight by name. */
export function namesOf(machines: readonly string[], limit?: string): string {
  if (limit !== undefined) return `${limit} (--limit)`
  const shown = machines.slice(0, 8).join(', ')
  return machines.length > 8 ? `${shown} and ${machines.length - 8} more` : shown
}
