import type { Command } from 'commander'

/** Adds examples below the help of a command: a command line each, with what it does where that is not obvious. */
export function addExamples(command: Command, examples: readonly [line: string, what?: string][]): Command {
  const width = Math.max(...examples.map(([line, what]) => (what === undefined ? 0 : line.length)))
  const lines = examples.map(([line, what]) =>
    what === undefined ? `  ${line}` : `  ${line.padEnd(width)}  # ${what}`,
  )
  return command.addHelpText('after', ['', 'Examples:', ...lines].join('\n'))
}
