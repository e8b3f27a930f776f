import { cp, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { parse } from 'yaml'
import { AirgapError, isErrorCode } from '../../../src/core/errors.ts'
import { run } from '../run.ts'
import type { Ansible } from './ansible.ts'
import { type EngineRoles, readEngineRoles } from './roles.ts'

/** A copy of a kubespray checkout, because its generator writes into it, with the inventory in question. */
export interface Workspace {
  folder: string
  ansible: Ansible
  /** the play that loads kubespray's variables, without its tasks */
  play: Record<string, unknown>
  /** templates of the variables with the publishers' addresses: those of the inventory name a mirror */
  addresses: Record<string, string>
  /** kubespray's `downloads`, as templates, by name */
  downloads: Record<string, { url?: unknown; repo?: unknown; tag?: unknown }>
  roles: EngineRoles
}

const generator = 'contrib/offline/generate_list.sh'
const playbook = 'contrib/offline/generate_list.yml'
/** Kubespray 2.28 renamed the folder. */
const variables = ['kubespray-defaults', 'kubespray_defaults'].map(
  role => `roles/${role}/defaults/main/download.yml`,
)
/** Files with the hosts, beside group_vars. */
const inventories = [
  'inventory.ini',
  'hosts.ini',
  'hosts.yaml',
  'hosts.yml',
  'inventory.yaml',
  'inventory.yml',
]
const ours = 'airgap'

/** Throws FILE_NOT_FOUND for a folder that is not a kubespray checkout or has no generator, and for an inventory without hosts. */
export async function checkCheckout(checkout: string, inventory: string): Promise<void> {
  const absent = async (path: string) => (await stat(path).catch(() => undefined)) === undefined
  for (const path of [generator, playbook, 'requirements.txt']) {
    if (!(await absent(join(checkout, path)))) continue
    throw new AirgapError('FILE_NOT_FOUND', `the checkout has no ${path}`, {
      item: checkout,
      likely: 'this is not a kubespray checkout, or it is older than v2.19 or lacks contrib/',
      next: 'pass the root of an unpacked release: github.com/kubernetes-sigs/kubespray/archive/refs/tags/v2.24.1.tar.gz',
    })
  }
  if ((await hostsFile(inventory)) !== undefined) return
  throw new AirgapError('FILE_NOT_FOUND', 'the inventory has no hosts file', {
    item: inventory,
    likely: 'this is not the folder with group_vars',
    next: `pass the folder with one of ${inventories.join(', ')}`,
  })
}

/** `folder` is created; the checkout and the inventory are only read. */
export async function openWorkspace(
  checkout: string,
  { inventory, folder, ansible }: { inventory: string; folder: string; ansible: Ansible },
): Promise<Workspace> {
  await cp(checkout, folder, {
    ...without(checkout, ['.git', 'contrib/offline/temp']),
    verbatimSymlinks: true,
  })
  // secrets are not needed
  const own = without(inventory, ['credentials', 'artifacts'])
  await cp(inventory, join(folder, ours, 'inventory'), { ...own, dereference: true })
  // variables of a group apply to its hosts only, so this host joins every group that a cluster must have
  await writeFile(
    join(folder, ours, 'this-host.ini'),
    ['kube_control_plane', 'kube_node', 'etcd'].map(group => `[${group}]\nlocalhost\n`).join('') +
      '[k8s_cluster:children]\nkube_control_plane\nkube_node\n',
  )
  const [play] = parse(await readFile(join(folder, playbook), 'utf8')) as [Record<string, unknown>]
  return { folder, ansible, play, ...(await downloadsOf(folder)), roles: await readEngineRoles(folder) }
}

/** Runs the checkout's generator and returns the lines of its two lists. */
export async function generate(
  workspace: Workspace,
  extra: Record<string, unknown>,
): Promise<{ files: string[]; images: string[] }> {
  const options = await ansibleArguments(workspace, extra)
  await ansibleRun(['bash', generator, ...options], workspace)
  const lines = async (name: string) =>
    (await readFile(join(workspace.folder, 'contrib/offline/temp', name), 'utf8')).split('\n').filter(Boolean)
  return { files: await lines('files.list'), images: await lines('images.list') }
}

/** Evaluates templates by ansible, with the variables of kubespray and of the inventory. */
export async function evaluate<T>(
  workspace: Workspace,
  { extra, templates }: { extra: Record<string, unknown>; templates: Record<string, unknown> },
): Promise<T> {
  const { folder, play } = workspace
  const answer = join(folder, ours, 'answer.json')
  const content = '{{ airgap_templates | to_json }}'
  const tasks = [{ name: 'Answer', copy: { dest: answer, content, mode: '0600' } }]
  // JSON is YAML
  await writeFile(join(folder, 'airgap.yml'), JSON.stringify([{ ...play, tasks }]))
  const options = await ansibleArguments(workspace, { ...extra, airgap_templates: templates })
  await ansibleRun([join(workspace.ansible.bin, 'ansible-playbook'), ...options, 'airgap.yml'], workspace)
  return JSON.parse(await readFile(answer, 'utf8')) as T
}

/**
 * Evaluates each template on its own, with the addresses of the inventory instead of the publishers'. `error`: the message of
 * ansible, for an undefined variable or a missing version.
 */
export async function evaluateEach(
  workspace: Workspace,
  { extra, templates }: { extra: Record<string, unknown>; templates: readonly string[] },
): Promise<({ value: string } | { error: string })[]> {
  const { folder, play } = workspace
  const answer = join(folder, ours, 'answers.json')
  const results = templates.map((_, i) => `airgap_result_${i}`)
  const tasks: object[] = templates.map((template, i) => ({
    name: `Evaluate ${i}`,
    set_fact: { [`airgap_value_${i}`]: template },
    register: results[i],
    ignore_errors: true,
  }))
  tasks.push({
    name: 'Answer',
    copy: { dest: answer, content: `{{ [${results.join(', ')}] | to_json }}`, mode: '0600' },
  })
  await writeFile(join(folder, 'airgap.yml'), JSON.stringify([{ ...play, tasks }]))
  const options = await ansibleArguments({ ...workspace, addresses: {} }, extra)
  await ansibleRun([join(workspace.ansible.bin, 'ansible-playbook'), ...options, 'airgap.yml'], workspace)
  const answers = JSON.parse(await readFile(answer, 'utf8')) as EvaluateResult[]
  return answers.map(({ failed, msg, ansible_facts: facts }, i) =>
    failed
      ? {
          error: (msg ?? 'ansible cannot evaluate it').replace(/\.? ?The error appears to be in[\s\S]*$/, ''),
        }
      : { value: String(facts?.[`airgap_value_${i}`]) },
  )
}

/** The result of a `set_fact` task. */
interface EvaluateResult {
  failed?: boolean
  msg?: string
  ansible_facts?: Record<string, unknown>
}

/** ansible prints to stdout why a task failed. */
async function ansibleRun(command: string[], workspace: Workspace): Promise<void> {
  try {
    await run(['bash', '-c', 'exec "$@" 2>&1', 'bash', ...command], environment(workspace))
  } catch (cause) {
    if (!isErrorCode(cause, 'STEP_FAILED')) throw cause
    const reason = /^fatal: .*$/m.exec(cause.message)?.[0] ?? cause.message
    throw new AirgapError(
      'RENDER_FAILED',
      `ansible cannot evaluate kubespray's variables:\n${reason.slice(0, 2000)}`,
      {
        item: command.slice(0, 2).join(' '),
        likely: 'the inventory or --set selects a version that this kubespray release has no checksum for',
        next: 'read the output of ansible, above',
        cause,
      },
    )
  }
}

/** Passed in a file, because the generator splits its arguments at spaces; relative to the checkout for the same reason. */
async function ansibleArguments(
  { folder, ansible, addresses }: Workspace,
  extra: Record<string, unknown>,
): Promise<string[]> {
  const inventory = `${ours}/inventory/${await hostsFile(join(folder, ours, 'inventory'))}`
  const local = {
    ansible_connection: 'local',
    ansible_become: false,
    ansible_python_interpreter: join(ansible.bin, 'python'),
  }
  await writeFile(join(folder, ours, 'extra.json'), JSON.stringify({ ...local, ...addresses, ...extra }))
  return ['-i', inventory, '-i', `${ours}/this-host.ini`, '-e', `@${ours}/extra.json`]
}

/** Ignores the user's ansible settings, and the checkout's ansible.cfg, which caches facts in /tmp, possibly of another host. */
function environment({ folder, ansible }: Workspace): { cwd: string; env: NodeJS.ProcessEnv } {
  const own = Object.entries(process.env).filter(([name]) => !/^(ANSIBLE_|DOWNLOAD_YML$)/.test(name))
  return {
    cwd: folder,
    env: {
      ...Object.fromEntries(own),
      PATH: `${ansible.bin}:${process.env['PATH'] ?? ''}`,
      LC_ALL: 'C.UTF-8',
      ANSIBLE_CACHE_PLUGIN: 'memory',
      ANSIBLE_CALLBACKS_ENABLED: '',
      ANSIBLE_HOME: join(folder, ours, 'home'),
      ANSIBLE_NOCOLOR: '1',
    },
  }
}

function without(root: string, leftOut: readonly string[]) {
  const filter = (path: string) => !leftOut.includes(relative(root, path).split(sep).join('/'))
  return { recursive: true, filter }
}

async function downloadsOf(folder: string): Promise<Pick<Workspace, 'addresses' | 'downloads'>> {
  for (const path of variables) {
    const text = await readFile(join(folder, path), 'utf8').catch(() => undefined)
    if (text === undefined) continue
    const all = parse(text) as Record<string, unknown>
    const defaults = Object.entries(all)
    const addresses = Object.fromEntries(
      defaults.filter(
        (entry): entry is [string, string] =>
          /_(url|image_repo|scraper_repo)$/.test(entry[0]) && typeof entry[1] === 'string',
      ),
    )
    return { addresses, downloads: (all['downloads'] ?? {}) as Workspace['downloads'] }
  }
  throw new AirgapError('FILE_NOT_FOUND', 'the checkout has no list of downloads', {
    item: join(folder, variables[0]!),
    likely: 'this release of kubespray keeps its variables elsewhere',
    next: 'use v2.24 to v2.31, or add the new path to scripts/lib/kubespray/checkout.ts',
  })
}

async function hostsFile(inventory: string): Promise<string | undefined> {
  const names = new Set(await readdir(inventory).catch(() => []))
  return inventories.find(name => names.has(name))
}
