import { spawnSync } from 'node:child_process'
import { access, constants, statfs } from 'node:fs/promises'
import type { Command } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import { humanBytes } from '../shell/format.ts'
import { findProgram, runtimePaths } from '../shell/installation.ts'
import type { Shell } from '../shell/run.ts'

interface Requirement {
  what: string
  found: string
  /** `optional`: missing, and a build works without it */
  state: 'ok' | 'missing' | 'optional'
  /** what to do if it is missing */
  next: string
}

export function doctorCommand(program: Command, shell: Shell): void {
  program
    .command('doctor')
    .description('Check whether this host can build bundles; exit 7 if it cannot')
    .action(async () => {
      const requirements = [nodeVersion(), ...(await runtimeFiles()), await space(), ...(await tools())]
      shell.print(requirements, () => render(requirements))
      const missing = requirements.filter(({ state }) => state === 'missing')
      if (missing.length === 0) return
      throw new AirgapError('TOOL_MISSING', 'this host cannot build bundles yet', {
        item: missing.map(({ what }) => what).join(', '),
        next: [...new Set(missing.map(({ next }) => next))].join('; '),
      })
    })
}

function render(requirements: readonly Requirement[]): string[] {
  const width = Math.max(...requirements.map(({ what }) => what.length))
  return requirements.flatMap(({ state, what, found, next }) => {
    const line = `${state.padEnd(8)}  ${what.padEnd(width)}  ${found}`
    return state === 'ok' ? [line] : [line, `${' '.repeat(10)}next: ${next}`]
  })
}

function nodeVersion(): Requirement {
  const { node } = process.versions
  const state = Number(node.split('.')[0]) >= 24 ? 'ok' : 'missing'
  return {
    what: 'Node 24 or newer',
    found: node,
    state,
    next: 'run `./scripts/setup`, then `. scripts/env.sh` in this shell',
  }
}

async function runtimeFiles(): Promise<Requirement[]> {
  return await Promise.all(
    Object.entries(runtimePaths()).map(async ([what, path]): Promise<Requirement> => {
      const exists = await access(path, constants.R_OK).then(
        () => true,
        () => false,
      )
      const state = exists ? 'ok' : 'missing'
      return { what, found: exists ? 'found' : 'not found', state, next: 'run ./scripts/setup' }
    }),
  )
}

async function space(): Promise<Requirement> {
  const { bavail, bsize } = await statfs('.')
  const free = bavail * bsize
  return {
    what: 'free space on this disk',
    found: humanBytes(free),
    state: free > 1e9 ? 'ok' : 'optional',
    next: 'pass --out with a path on a larger disk',
  }
}

/** Programs that some commands use; a build requires none of them. */
async function tools(): Promise<Requirement[]> {
  const wanted: [string, string[], string][] = [
    [
      'oras',
      ['version'],
      'needed by `airgap push` only: run ./scripts/setup --with-oras, or see https://oras.land',
    ],
    ['git', ['--version'], 'needed for entries of `git:` in a manifest only: install git'],
    ['fallocate', ['--version'], 'reserves disk space at the start of a build: install util-linux'],
  ]
  return await Promise.all(
    wanted.map(async ([what, args, next]): Promise<Requirement> => {
      const path = await findProgram(what)
      if (path === undefined) return { what, found: 'not found', state: 'optional', next }
      const { stdout } = spawnSync(path, args, { encoding: 'utf8', timeout: 10_000 })
      const version = /(?<!\d)\d+(\.\d+)+\S*/.exec(stdout ?? '')?.[0] ?? 'version unknown'
      return { what, found: `${version}  ${path}`, state: 'ok', next }
    }),
  )
}
