import type { Command, Option } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import type { Shell } from '../shell/run.ts'

const shells = ['bash', 'zsh', 'fish'] as const

export function completionCommand(program: Command, shell: Shell): void {
  program
    .command('completion')
    .description('Print a completion script for a shell: source <(airgap completion bash)')
    .argument('<shell>', shells.join(', '))
    .action((name: string) => {
      const words = wordsOf(program)
      const script = scriptFor(name, words)
      shell.print({ shell: name, script }, () => script)
    })
}

interface Words {
  program: string
  commands: { name: string; about: string; options: string[] }[]
}

function wordsOf(program: Command): Words {
  const visible = (options: readonly Option[]) =>
    options.filter(option => !option.hidden).map(option => option.long ?? option.short ?? '')
  const shared = visible(program.options)
  return {
    program: program.name(),
    commands: program.commands.map(command => ({
      name: command.name(),
      about: command.description().replaceAll("'", '’'),
      options: [...visible(command.options), ...shared, '--help'],
    })),
  }
}

function scriptFor(name: string, words: Words): string {
  if (name === 'bash') return bash(words)
  if (name === 'zsh') return `autoload -Uz bashcompinit && bashcompinit\n${bash(words)}`
  if (name === 'fish') return fish(words)
  throw new AirgapError('USAGE', 'there is no completion for this shell', {
    item: name,
    next: `choose one of ${shells.join(', ')}`,
  })
}

function bash({ program, commands }: Words): string {
  const cases = commands.map(command => `    ${command.name}) words='${command.options.join(' ')}' ;;`)
  return [
    `_${program}() {`,
    "  local current=${COMP_WORDS[COMP_CWORD]} words=''",
    '  case ${COMP_WORDS[1]} in',
    ...cases,
    '  esac',
    `  if [ "$COMP_CWORD" -eq 1 ]; then words='${commands.map(command => command.name).join(' ')}'; fi`,
    '  case $current in -*) ;; *) [ "$COMP_CWORD" -eq 1 ] || { COMPREPLY=($(compgen -f -- "$current")); return; } ;; esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '}',
    `complete -o filenames -F _${program} ${program}`,
  ].join('\n')
}

function fish({ program, commands }: Words): string {
  return commands
    .flatMap(command => [
      `complete -c ${program} -n __fish_use_subcommand -a ${command.name} -d '${command.about}'`,
      ...command.options
        .filter(option => option.startsWith('--'))
        .map(
          option =>
            `complete -c ${program} -n '__fish_seen_subcommand_from ${command.name}' -l ${option.slice(2)}`,
        ),
    ])
    .join('\n')
}
