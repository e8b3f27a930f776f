import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { AirgapError } from '../core/errors.ts'
import { shellWord } from '../core/shell-word.ts'
import { failedProgram } from './failed-program.ts'
import { type ProgramEnd, runStepProgram, type StepProgram } from './program.ts'
import { sshEnvironment, sshOptions } from './ssh-options.ts'
import type { StepContext } from './step.ts'

/** How ansible is run on this host, for this site. */
export interface Ansible {
  /** folder with ansible-playbook and ansible */
  bin: string
  /** hosts.yaml */
  inventory: string
  /** ssh's file of host keys: a new key is accepted, one that changed is refused */
  knownHosts: string
  /** folder for facts and temporary files */
  work: string
  /** files of mode 0600 */
  passwords: { ssh?: string; sudo?: string }
  program: (name: string) => Pick<StepProgram, 'log' | 'running' | 'silenceMs'>
}

export interface Playbook {
  /** for the log */
  name: string
  playbook: string
  /** working directory: that of kubespray has its ansible.cfg and its roles */
  cwd: string
  limit?: string | undefined
  variables?: Record<string, unknown>
}

/** Returns the command as a person would type it. Passwords are in files, never on a command line. */
export function playbookCommand(ansible: Ansible, run: Playbook): [string, ...string[]] {
  return [
    join(ansible.bin, 'ansible-playbook'),
    '--inventory',
    ansible.inventory,
    '--become',
    ...passwordOptions(ansible),
    ...(run.limit === undefined ? [] : ['--limit', run.limit]),
    ...(run.variables === undefined ? [] : ['--extra-vars', JSON.stringify(run.variables)]),
    run.playbook,
  ]
}

/** Runs a playbook to its end. Throws STEP_FAILED with the error messages of each machine. */
export async function runPlaybook(ansible: Ansible, run: Playbook, context: StepContext): Promise<void> {
  const command = playbookCommand(ansible, run)
  const failures = new Failures()
  const program = ansible.program(run.name)
  const end = await runStepProgram({
    ...program,
    command,
    cwd: run.cwd,
    env: await ansibleEnvironment(ansible, run.cwd),
    signal: context.signal,
    onLine(line) {
      failures.take(line)
      const title = /^(?:TASK|PLAY|RUNNING HANDLER) \[(.*)\] \**$/.exec(line)?.[1]
      if (title !== undefined) context.progress.note(`${run.name}: ${title}`)
    },
  })
  if (end.status !== 0) throw failedPlaybook(command, { end, failures, log: program.log })
}

/** Runs a module on all machines of a pattern; returns machine → its result. Machines that fail are left out. */
export async function runModule(
  ansible: Ansible,
  options: {
    pattern: string
    module: string
    arguments: Record<string, unknown>
    signal: AbortSignal
    name: string
  },
): Promise<Map<string, Record<string, unknown>>> {
  const answers = new Map<string, Record<string, unknown>>()
  await runStepProgram({
    ...ansible.program(options.name),
    command: [
      join(ansible.bin, 'ansible'),
      '--inventory',
      ansible.inventory,
      '--become',
      '--one-line',
      ...passwordOptions(ansible),
      '--module-name',
      options.module,
      '--args',
      JSON.stringify(options.arguments),
      options.pattern,
    ],
    cwd: ansible.work,
    env: await ansibleEnvironment(ansible, ansible.work),
    signal: options.signal,
    onLine(line) {
      const [, machine, json] = /^(\S+) \| (?:SUCCESS|CHANGED) => (\{.*\})$/.exec(line) ?? []
      if (machine === undefined || json === undefined) return
      try {
        answers.set(machine, JSON.parse(json))
      } catch {
        // a truncated line is not an answer
      }
    },
  })
  return answers
}

function passwordOptions({ passwords }: Ansible): string[] {
  return [
    ...(passwords.ssh === undefined ? [] : ['--connection-password-file', passwords.ssh]),
    ...(passwords.sudo === undefined ? [] : ['--become-password-file', passwords.sudo]),
  ]
}

/** Nothing of the operator's own ansible or ssh configuration. kubespray's ansible.cfg would accept any host key. */
async function ansibleEnvironment(
  { bin, knownHosts, work }: Ansible,
  cwd: string,
): Promise<Record<string, string>> {
  const config = await configIn(cwd, work)
  const options = [...sshOptions({ knownHosts }), 'ControlMaster=auto', 'ControlPersist=60s']
  return {
    ...sshEnvironment(),
    PATH: `${bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    LC_ALL: 'C.UTF-8',
    ANSIBLE_HOME: join(work, 'home'),
    ANSIBLE_LOCAL_TEMP: join(work, 'tmp'),
    ANSIBLE_NOCOLOR: '1',
    ANSIBLE_CONFIG: config,
    ANSIBLE_STDOUT_CALLBACK: 'default',
    ANSIBLE_HOST_KEY_CHECKING: 'True',
    // ansible splits it into words as a shell does
    ANSIBLE_SSH_ARGS: options.map(option => `-o ${shellWord(option)}`).join(' '),
    ANSIBLE_CACHE_PLUGIN: 'jsonfile',
    ANSIBLE_CACHE_PLUGIN_CONNECTION: join(work, 'facts'),
    ANSIBLE_CACHE_PLUGIN_TIMEOUT: '3600',
    ANSIBLE_CALLBACKS_ENABLED: '',
    ANSIBLE_RETRY_FILES_ENABLED: 'False',
    ANSIBLE_LOCALHOST_WARNING: 'False',
    ANSIBLE_DEPRECATION_WARNINGS: 'False',
  }
}

/** Returns the ansible.cfg of kubespray, or an empty one, which keeps ansible from reading the operator's and that of /etc. */
async function configIn(cwd: string, work: string): Promise<string> {
  const own = join(cwd, 'ansible.cfg')
  if ((await stat(own).catch(() => undefined)) !== undefined) return own
  const empty = join(work, 'ansible.cfg')
  await mkdir(work, { recursive: true, mode: 0o700 })
  await writeAtomically(empty, '', 0o600)
  return empty
}

/** Collects the error messages of machines from ansible's output: `fatal: [NAME]: FAILED! => {…}`. */
class Failures {
  #task = ''
  readonly messages: string[] = []
  unreachable = 0
  changedKey = false

  take(line: string): void {
    const task = /^(?:TASK|RUNNING HANDLER) \[(.*)\] \**$/.exec(line)?.[1]
    if (task !== undefined) this.#task = task
    // the playbook expects this failure
    if (line === '...ignoring') this.messages.pop()
    if (
      line.includes('REMOTE HOST IDENTIFICATION HAS CHANGED') ||
      line.includes('Host key verification failed')
    )
      this.changedKey = true
    const [, machine, kind, json] =
      /^(?:fatal|failed): \[([^\]]+)\](?: \([^)]*\))?: (FAILED|UNREACHABLE)! => (\{.*)$/.exec(line) ?? []
    if (machine === undefined) {
      if (line.startsWith('ERROR! ')) this.messages.push(line)
      return
    }
    if (kind === 'UNREACHABLE') this.unreachable++
    this.messages.push(`${machine}: ${this.#task}: ${messageIn(json ?? '')}`)
  }
}

function messageIn(json: string): string {
  try {
    const { msg, stderr, stdout } = JSON.parse(json)
    const texts = [msg, stderr, stdout].filter(text => typeof text === 'string' && text !== '')
    return texts.join(' | ').replace(/\s+/g, ' ').slice(0, 600)
  } catch {
    return json.slice(0, 600)
  }
}

function failedPlaybook(
  command: readonly string[],
  { end, failures, log }: { end: ProgramEnd; failures: Failures; log: string },
): AirgapError {
  const messages = failures.messages.slice(0, 20)
  if (failures.changedKey) {
    return new AirgapError(
      'STEP_FAILED',
      ['the host key of a machine has changed:', ...messages.map(line => `  ${line}`)],
      {
        item: log,
        likely: 'it was reinstalled, or another machine answers at its address',
        next: 'if it was reinstalled, run `offline-deploy nodes forget NAME` and then the same command again; otherwise find the other machine first',
      },
    )
  }
  return failedProgram(command, end, {
    log,
    ...(messages.length === 0 ? {} : { said: messages }),
    ...(failures.unreachable === 0
      ? {}
      : {
          likely:
            'a machine is off, its address is wrong, or the user cannot log in: see `offline-deploy nodes check`',
        }),
  })
}
