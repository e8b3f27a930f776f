import type { Option } from 'commander'

/** Commands that list all commands. */
const overviews = ['help', 'completion']
/** Defined by `runCli`, in every program. */
const builtIn = 'version'

/**
 * Loads the commands that a command line needs: the named one, none for the version, all for help, completion and a name that
 * does not exist (to suggest similar ones). `options` are those of the program, which may precede the command.
 */
export async function loadCommands<T>(
  table: Readonly<Record<string, () => Promise<T>>>,
  { argv, options }: { argv: readonly string[]; options: readonly Option[] },
): Promise<T[]> {
  const first = firstWord(argv.slice(2), options)
  if (first === builtIn || first === '-V' || first === '--version') return []
  const named = first !== undefined && !overviews.includes(first) && Object.hasOwn(table, first)
  const load = named ? table[first] : undefined
  return load === undefined ? await Promise.all(Object.values(table).map(load => load())) : [await load()]
}

/** Returns the name of the command, or the option used instead of one (`--version`, `--help`). */
function firstWord(words: readonly string[], options: readonly Option[]): string | undefined {
  const takesValue = (word: string) =>
    options.some(option => option.required && [option.short, option.long].includes(word))
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    if (!word.startsWith('-') || ['-V', '--version', '-h', '--help'].includes(word)) return word
    if (takesValue(word)) i++
  }
  return undefined
}
