import { execFile } from 'node:child_process'
import { readFile, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { writeAtomically } from '../../core/atomic-file.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import { digestOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { type BundleFiles, bundleFile, unpackArchive, writeBundleFile, writeMember } from '../bundle-files.ts'
import type { Deployment } from '../deployment.ts'
import { failedProgram } from '../failed-program.ts'
import { runStepProgram, type StepProgram } from '../program.ts'
import { findPython } from '../python.ts'
import type { Step, StepContext } from '../step.ts'

export interface ControlHostOptions {
  deployment: Deployment
  /** what lies below /files */
  files: BundleFiles
  /** what lies below /pypi */
  wheels: BundleFiles
  /** where the deployment tree is laid down */
  tree: string
  /** digest of the requirements file in the bundle's tree */
  requirements: string | null
  /** URL of the site's index, as seen from this host */
  index: string
  /** programs, virtual environment and kubespray come here */
  folder: string
  /** of programs that are run */
  program: (name: string) => Pick<StepProgram, 'log' | 'running' | 'silenceMs'>
}

/** Where the things of this host are, in its folder. */
export function toolPaths(folder: string) {
  return {
    bin: join(folder, 'bin'),
    venv: join(folder, 'venv'),
    ansible: join(folder, 'venv', 'bin', 'ansible-playbook'),
    kubespray: join(folder, 'kubespray'),
    home: join(folder, 'home'),
  }
}

/** The host that installs gets its programs: helm, helmfile, kubectl, ansible, kubespray; all of them from the bundle. */
export function controlHostStep(options: ControlHostOptions): Step {
  const { deployment, files, wheels, tree, requirements, index, folder } = options
  const { tools, python, kubespray } = deployment
  const paths = toolPaths(folder)
  const stamp = join(folder, 'complete.json')
  const inputs = {
    tools: Object.fromEntries(
      Object.entries(tools).map(([name, tool]) => [
        name,
        { ...tool, digest: files.entries.get(tool.file)?.descriptor.digest ?? null },
      ]),
    ),
    python: python === undefined ? null : { ...python, digest: requirements, wheels: digestOfWheels(wheels) },
    kubespray:
      kubespray === undefined
        ? null
        : (files.entries.get(kubespray.archive)?.descriptor.digest ?? kubespray.archive),
    folder,
  }
  const key = digestOf(canonicalJson(inputs))

  return {
    id: 'control-host',
    title: 'programs of this host: ansible, helm, helmfile, kubectl, kubespray',
    needs: ['serve', 'lay-down'],
    inputs,
    async describe() {
      // what is missing is told before anything is changed
      for (const { file } of Object.values(tools)) bundleFile(files, file)
      if (kubespray !== undefined) bundleFile(files, kubespray.archive)
      return [
        ...Object.keys(tools).map(name => `write ${join(paths.bin, name)}`),
        ...(python === undefined
          ? []
          : [
              `make ${paths.venv} with Python ${python.versions.join(' or ')} and the wheels of ${index}`,
              `  ${basename(pipWheel(wheels))}; ${join(tree, python.requirements)}`,
            ]),
        ...(kubespray === undefined ? [] : [`unpack ${kubespray.archive} to ${paths.kubespray}`]),
      ]
    },
    async check() {
      const text = await readFile(stamp, 'utf8').catch(() => '')
      if (text !== key) return 'pending'
      const wanted = [
        ...Object.keys(tools).map(name => join(paths.bin, name)),
        ...(python === undefined ? [] : [paths.ansible]),
        ...(kubespray === undefined ? [] : [join(paths.kubespray, 'cluster.yml')]),
      ]
      const found = await Promise.all(wanted.map(path => stat(path).catch(() => undefined)))
      if (found.includes(undefined)) return 'pending'
      // a folder that was moved, or a Python that was replaced, leaves files that do not run
      return python === undefined || (await runs(paths.ansible)) ? 'done' : 'pending'
    },
    async apply(context) {
      await rm(stamp, { force: true })
      for (const [name, { file, member }] of Object.entries(tools)) {
        const to = join(paths.bin, name)
        if (member === undefined) await writeBundleFile(files, { path: file, to, mode: 0o755 })
        else await writeMember(files, { path: file, member, to })
        context.progress.note(`control-host: ${to}`)
      }
      if (kubespray !== undefined) {
        await unpackArchive(files, { path: kubespray.archive, to: paths.kubespray, signal: context.signal })
        context.progress.note(`control-host: ${paths.kubespray}`)
      }
      if (python !== undefined) await makeVenv(context)
      await writeAtomically(stamp, key)
    },
  }

  async function makeVenv(context: StepContext): Promise<void> {
    const found = await findPython(python?.versions ?? [], context.signal)
    context.progress.note(`control-host: ${paths.venv}, Python ${found.version}`)
    // it names itself by its path in every script: it is made where it stays
    await rm(paths.venv, { recursive: true, force: true })
    const wheel = join(folder, basename(pipWheel(wheels)))
    await writeBundleFile(wheels, { path: pipWheel(wheels), to: wheel, mode: 0o644 })
    const run = async (command: [string, ...string[]]) => {
      const program = options.program('control-host')
      const env = {
        PATH: '/usr/local/bin:/usr/bin:/bin',
        HOME: paths.home,
        LC_ALL: 'C.UTF-8',
        PIP_CONFIG_FILE: '/dev/null',
      }
      const end = await runStepProgram({ ...program, command, cwd: folder, env, signal: context.signal })
      if (end.status !== 0)
        throw failedProgram(command, end, {
          log: program.log,
          likely: 'the bundle has no wheels for this Python, or the servers do not answer',
        })
    }
    try {
      // Debian's python3 comes without what would put a pip in: the bundle's own is used
      await run([found.program, '-m', 'venv', '--without-pip', paths.venv])
      const trusted = new URL(index).hostname
      const pip = [
        join(paths.venv, 'bin', 'python'),
        join(wheel, 'pip'),
        '--disable-pip-version-check',
        '--no-input',
      ]
      await run([
        ...(pip as [string, ...string[]]),
        ...['install', '--quiet', '--no-cache-dir', '--only-binary', ':all:'],
        ...['--index-url', index, '--trusted-host', trusted],
        ...['--requirement', join(tree, python!.requirements)],
      ])
      await run([paths.ansible, '--version'])
    } finally {
      await rm(wheel, { force: true })
    }
  }
}

async function runs(program: string): Promise<boolean> {
  const options = { timeout: 60_000, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', ANSIBLE_CONFIG: '' } }
  return await promisify(execFile)(program, ['--version'], options).then(
    () => true,
    () => false,
  )
}

/** A wheel that Python runs as it is. */
function pipWheel({ entries }: BundleFiles): string {
  const name = [...entries.keys()]
    .filter(path => /^pip\/pip-[0-9][^/]*-none-any\.whl$/.test(path))
    .sort()
    .at(-1)
  if (name !== undefined) return name
  throw new AirgapError('FILE_NOT_FOUND', 'the bundle has no wheel of pip', {
    item: 'pip',
    likely: 'the manifest does not ask for it: it stands in package-lists/python/control-host.txt',
    next: 'have a bundle built that has it; nothing was changed',
  })
}

function digestOfWheels({ entries }: BundleFiles): string {
  return digestOf(canonicalJson([...entries].map(([path, { descriptor }]) => [path, descriptor.digest])))
}
