import { isErrorCode } from '../../core/errors.ts'
import { shellWord } from '../../core/shell-word.ts'
import { type Ansible, playbookCommand, runModule, runPlaybook } from '../ansible.ts'
import { type Step, type StepContext, stepKey } from '../step.ts'

export interface PlaybookStepOptions {
  id: string
  title: string
  needs: readonly string[]
  ansible: Ansible
  playbook: string
  cwd: string
  /** the machines: an ansible pattern, and their names */
  pattern: string
  machines: readonly string[]
  /** only these: an ansible pattern, and the names of those among `machines` */
  limit?: { pattern: string; machines: readonly string[] } | undefined
  /** everything that decides what the playbook does: digests of roles and of the inventory */
  inputs: () => Promise<object>
  /** what it does there, as imperatives */
  does: readonly string[]
  /** runs before the playbook, with the ansible pattern of its machines: writes what its roles read beside the inventory */
  prepare?: (pattern: string, context: StepContext) => Promise<void>
}

/**
 * Runs a playbook of the deployment tree. Each machine stores the key of the step that was done last, so that a machine that was
 * reinstalled does not count as done.
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
      const answers = await runModule(ansible, {
        name: id,
        pattern,
        module: 'ansible.builtin.slurp',
        arguments: { src: stamp },
        signal,
      }).catch(error => {
        // the step that installs ansible comes before this one
        if (isErrorCode(error, 'TOOL_MISSING')) return new Map<string, Record<string, unknown>>()
        throw error
      })
      const expected = await key()
      // a machine that does not answer is not done
      const isDone = (name: string) =>
        Buffer.from(String(answers.get(name)?.['content'] ?? ''), 'base64').toString() === expected
      return wanted.every(isDone) ? 'done' : 'pending'
    },
    async apply(context) {
      await options.prepare?.(pattern, context)
      await runPlaybook(ansible, run, context)
      await runModule(ansible, {
        name: id,
        pattern,
        module: 'ansible.builtin.copy',
        arguments: { content: await key(), dest: stamp, mode: '0644' },
        signal: context.signal,
      })
    },
  }
}

/** Names at most eight machines. */
export function namesOf(machines: readonly string[], limit?: string): string {
  if (limit !== undefined) return `${limit} (--limit)`
  const shown = machines.slice(0, 8).join(', ')
  return machines.length > 8 ? `${shown} and ${machines.length - 8} more` : shown
}
