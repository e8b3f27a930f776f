import { spawnSync } from 'node:child_process'
import { access, constants, statfs } from 'node:fs/promises'
import type { Command } from 'commander'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { runtimePaths } from './installation.ts'

interface Finding {
  what: string
  found: string
  good: boolean
  /** what to do where it is missing */
  next?: string
}

export function doctorCommand(program: Command, shell: Shell): void {
  program
    .command('doctor')
    .description('what this host has of what a build can use')
    .action(async () => {
      const findings = [nodeVersion(), ...(await runtimeFiles()), await space(), ...tools()]
      shell.print(findings, () =>
        findings
          .map(
            ({ good, what, found, next }) =>
              `${good ? 'ok     ' : 'missing'} ${what.padEnd(28)} ${found}${good || !next ? '' : `\n        next: ${next}`}`,
          )
          .join('\n'),
      )
    })
}

function nodeVersion(): Finding {
  const major = Number(process.versions.node.split('.')[0])
  return {
    what: 'Node 24 or newer',
    found: process.versions.node,
    good: major >= 24,
    next: 'run through npx, or ./scripts/setup',
  }
}

async function runtimeFiles(): Promise<Finding[]> {
  return await Promise.all(
    Object.entries(runtimePaths()).map(async ([what, path]) => {
      const good = await access(path, constants.R_OK).then(
        () => true,
        () => false,
      )
      return { what, found: good ? 'there' : 'not there', good, next: 'run ./scripts/setup' }
    }),
  )
}

async function space(): Promise<Finding> {
  const { bavail, bsize } = await statfs('.')
  return {
    what: 'room on this disk',
    found: humanBytes(bavail * bsize),
    good: bavail * bsize > 1e9,
    next: 'choose a larger disk for --out',
  }
}

/** Programs that single commands use; a build needs none of them. */
function tools(): Finding[] {
  const wanted: [string, string[], string][] = [
    ['oras', ['version'], 'only for `airgap push`: ./scripts/setup --with-oras, or https://oras.land'],
    ['fallocate', ['--version'], 'only to reserve room at the start of a build (util-linux)'],
  ]
  return wanted.map(([program, args, next]) => {
    const ran = spawnSync(program, args, { encoding: 'utf8' })
    const version = ran.error ? 'not there' : (ran.stdout.split('\n')[0] ?? '').trim()
    return { what: program, found: version, good: !ran.error, next }
  })
}
