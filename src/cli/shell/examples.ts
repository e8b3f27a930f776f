import type { Command } from 'commander'

/** Adds examples below the help of a command: command lines, with a remark where their purpose is not obvious. */
export function addExamples(command: Command, examples: readonly [line: string, remark?: string][]): Command {
  const width = Math.max(...examples.map(([line, remark]) => (remark === undefined ? 0 : line.length)))
  const lines = examples.map(([line, remark]) =>
    remark === undefined ? `  ${line}` : `  ${line.padEnd(width)}  # ${remark}`,
  )
  return command.addHelpText('after', ['', 'Examples:', ...lines].join('\n'))
}
