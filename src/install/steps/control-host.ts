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
import { hashedRequirements, writeWheelhouse } from '../wheelhouse.ts'

export interface ControlHostOptions {
  deployment: Deployment
  /** files below /files */
  files: BundleFiles
  /** wheels by project, and their metadata */
  wheels: BundleFiles
  /** where the deployment tree is laid down */
  tree: string
  /** digest of the requirements file in the bundle's tree */
  requirements: string | null
  /** folder for programs, virtual environment and kubespray */
  folder: string
  program: (name: string) => Pick<StepProgram, 'log' | 'running' | 'silenceMs'>
}

/** Returns the paths of programs in that folder. */
export function toolPaths(folder: string) {
  return {
    bin: join(folder, 'bin'),
    venv: join(folder, 'venv'),
    ansible: join(folder, 'venv', 'bin', 'ansible-playbook'),
    kubespray: join(folder, 'kubespray'),
    home: join(folder, 'home'),
  }
}

/** Installs the programs of this host from the bundle: helm, helmfile, kubectl, ansible, kubespray. */
export function controlHostStep(options: ControlHostOptions): Step {
  const { deployment, files, wheels, tree, requirements, folder } = options
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
    title: 'Install ansible, helm, helmfile, kubectl and kubespray on this host',
    needs: ['lay-down'],
    inputs,
    async describe() {
      // a missing file is reported before anything is changed
      for (const { file } of Object.values(tools)) bundleFile(files, file)
      if (kubespray !== undefined) bundleFile(files, kubespray.archive)
      return [
        ...Object.keys(tools).map(name => `write ${join(paths.bin, name)}`),
        ...(python === undefined
          ? []
          : [
              `create ${paths.venv} with Python ${python.versions.join(' or ')} and wheels of the bundle`,
              `  ${basename(pipWheel(wheels))}; ${join(tree, python.requirements)}`,
            ]),
        ...(kubespray === undefined ? [] : [`extract ${kubespray.archive} to ${paths.kubespray}`]),
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
      // after the folder was moved or Python was replaced, the files are there and do not run
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
    // every script in it contains its path: it cannot be created elsewhere and renamed
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
          likely: 'the bundle has no wheels for this Python',
        })
    }
    const wheelhouse = join(folder, 'wheels')
    const report = join(folder, 'pip-report.json')
    const hashed = join(folder, 'requirements-with-hashes.txt')
    const given = join(tree, python!.requirements)
    try {
      await writeWheelhouse(wheels, {
        requirements: await readFile(given, 'utf8'),
        folder: wheelhouse,
        signal: context.signal,
      })
      // Debian's python3 has no ensurepip: the pip of the bundle is used
      await run([found.program, '-m', 'venv', '--without-pip', paths.venv])
      const install = async (...options: string[]) =>
        await run([
          join(paths.venv, 'bin', 'python'),
          join(wheel, 'pip'),
          '--disable-pip-version-check',
          '--no-input',
          'install',
          '--quiet',
          '--no-cache-dir',
          '--only-binary',
          ':all:',
          '--no-index',
          '--find-links',
          wheelhouse,
          ...options,
        ])
      // pip takes hashes only of everything at once, dependencies included: a dry run finds out what it would choose
      await install('--dry-run', '--report', report, '--requirement', given)
      await writeAtomically(hashed, hashedRequirements(await readFile(report, 'utf8'), wheels))
      await install('--no-deps', '--require-hashes', '--requirement', hashed)
      await run([paths.ansible, '--version'])
    } finally {
      for (const path of [wheel, wheelhouse, report, hashed]) await rm(path, { recursive: true, force: true })
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

/** Returns the wheel of pip, which Python can run without installing it. */
function pipWheel({ entries }: BundleFiles): string {
  const name = [...entries.keys()]
    .filter(path => /^pip\/pip-[0-9][^/]*-none-any\.whl$/.test(path))
    .sort()
    .at(-1)
  if (name !== undefined) return name
  throw new AirgapError('FILE_NOT_FOUND', 'the bundle has no wheel of pip', {
    item: 'pip',
    likely: 'the manifest does not include package-lists/python/control-host.txt',
    next: 'add it under wheels: in the manifest and rebuild the bundle; nothing was changed',
  })
}

function digestOfWheels({ entries }: BundleFiles): string {
  return digestOf(canonicalJson([...entries].map(([path, { descriptor }]) => [path, descriptor.digest])))
}
