import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { createProgram, type DefineCommand } from '../src/cli/shell/run.ts'

const cli = resolve(import.meta.dirname, '../src/cli')

export const programNames = ['airgap', 'offline-deploy'] as const
export type ProgramName = (typeof programNames)[number]

/** A program with all of its commands, which cannot be run: they are defined to be looked at. */
export async function commandTree(name: ProgramName): Promise<Command> {
  const text = readFileSync(resolve(cli, `${name}.ts`), 'utf8')
  const table = [...text.matchAll(/await import\('\.\/([^']+)'\)\)\.(\w+)/g)]
  if (table.length === 0)
    throw new Error(`${name}.ts loads its commands in a way that this test does not know`)
  const program = createProgram({ name, description: '' })
  for (const [, module, definition] of table) {
    const loaded: Record<string, DefineCommand> = await import(resolve(cli, module!))
    // a shell is needed to run a command only
    loaded[definition!]!(program, undefined as never)
  }
  program.command('version')
  return program
}

/** `nodes add` → its command; undefined where there is none. */
export function findCommand(program: Command, words: readonly string[]): Command | undefined {
  let command: Command | undefined = program
  for (const word of words)
    command = command?.commands.find(one => [one.name(), ...one.aliases()].includes(word))
  return command
}

/** Flags that a command takes, of the program and of the commands above it, too. */
export function flagsOf(command: Command | null): string[] {
  if (command === null) return ['--help', '-h']
  const own = command.options.flatMap(({ short, long }) => [short, long].filter(flag => flag !== undefined))
  return [...own, ...flagsOf(command.parent)]
}

/** The command and all commands below it. */
export function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)]
}
