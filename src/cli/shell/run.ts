import { constants } from 'node:os'
import { Command, CommanderError, Option } from 'commander'
import type { Progress } from '../../core/progress.ts'
import { formatError } from './format-error.ts'
import { loadCommands } from './load-commands.ts'
import { formatResult, type OutputFormat, outputFormats, parseOutputFormat } from './output.ts'
import { createProgress, type DrawnProgress, type LogFormat, logFormats } from './progress.ts'
import { toReported } from './report-error.ts'
import { toolVersion } from './version.ts'

/** The terminal as a command uses it: nothing else prints or exits. */
export interface Shell {
  /** aborted by SIGINT, SIGTERM and SIGHUP */
  readonly signal: AbortSignal
  readonly quiet: boolean
  /** The one result of the command, on stdout. `value` must be JSON. */
  print(value: unknown, renderText: () => string): void
  /** One line on stderr, also with --quiet: the log of a program that keeps running. */
  log(line: string): void
  /** Progress on stderr; the same one for the whole run. */
  progress(): Progress
}

/** Adds one command to the program. */
export type DefineCommand = (program: Command, shell: Shell) => void

export interface Cli {
  /** as the operator types it */
  name: string
  description: string
  /** loads each command by its name: most need neither a network nor OpenPGP */
  commands: Readonly<Record<string, () => Promise<DefineCommand>>>
}

/** Time for an aborted command to clean up, before the process ends anyway. */
const graceMs = 10_000

/** Runs the command that `argv` names, prints its result or its error, and ends the process with the exit code of errors.ts. */
export async function runCli(cli: Cli, argv: readonly string[] = process.argv): Promise<never> {
  const run = new CliRun()
  const program = createProgram(cli)
  try {
    addCommands(program, {
      run,
      defines: await loadCommands(cli.commands, { argv, options: program.options }),
    })
    await program.parseAsync([...argv])
    await run.printed
  } catch (error) {
    const asked = argv.slice(2).find(word => program.commands.some(command => command.name() === word))
    return await run.fail(error, { program: [cli.name, asked].filter(Boolean).join(' '), argv })
  }
  return await run.end(0)
}

interface SharedOptions {
  output: OutputFormat
  logFormat?: LogFormat
  quiet?: boolean
  verbose?: boolean
}

/** Creates the program with the options that every command takes, and no command. */
export function createProgram({ name, description }: Pick<Cli, 'name' | 'description'>): Command {
  return new Command(name)
    .description(description)
    .addOption(
      new Option('-o, --output <format>', `format of the result on stdout: ${outputFormats.join(', ')}`)
        .argParser(parseOutputFormat)
        .default('text'),
    )
    .addOption(
      new Option('--log-format <format>', 'format of progress and errors on stderr: text, json')
        .choices([...logFormats])
        .default('text'),
    )
    .option('-q, --quiet', 'do not print progress')
    .option('--verbose', 'on an error, also print its causes and stack traces')
    .version(versionLine(name), '-V, --version', versionDescription)
    .configureHelp({ showGlobalOptions: true, optionDescription, subcommandTerm })
    .showSuggestionAfterError()
}

const versionDescription = 'Print the version of this program and of its Node.js'

function addCommands(
  program: Command,
  { run, defines }: { run: CliRun; defines: readonly DefineCommand[] },
): void {
  for (const define of defines) define(program, run)
  program
    .command('version')
    .description(versionDescription)
    .action(() => {
      const name = program.name()
      const versions = { version: toolVersion, node: process.versions.node }
      run.print({ name, ...versions }, () => versionLine(name))
    })
  program.hook('preAction', (_, command) => run.configure(command.optsWithGlobals()))
  // .command() has copied the settings already: errors must be thrown, and not exit
  for (const command of allOf(program)) command.exitOverride().configureOutput({ outputError: () => {} })
}

function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)]
}

function versionLine(name: string): string {
  return `${name} ${toolVersion} (node ${process.versions.node})`
}

/** The empty list of an option that may be repeated is not a default worth showing. */
function optionDescription({ description, defaultValue, defaultValueDescription, envVar }: Option): string {
  const shown = defaultValueDescription ?? (Array.isArray(defaultValue) ? undefined : defaultValue)
  const extra = [
    ...(shown === undefined ? [] : [`default: ${shown}`]),
    ...(envVar === undefined ? [] : [`env: ${envVar}`]),
  ]
  return extra.length === 0 ? description : `${description} (${extra.join(', ')})`
}

/** Without `[options]`, which all commands have, there is more room for descriptions. */
function subcommandTerm(command: Command): string {
  const names = command.registeredArguments.map(argument => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name()
    return argument.required ? `<${name}>` : `[${name}]`
  })
  return [command.name(), ...names].join(' ')
}

class CliRun implements Shell {
  readonly #stop = new AbortController()
  #options: SharedOptions = { output: 'text' }
  #progress: DrawnProgress | undefined
  #received: NodeJS.Signals | undefined
  printed: Promise<void> = Promise.resolve()

  constructor() {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => this.#onSignal(name))
    // a reader that closes its end (`| head`) must not stop work in progress
    for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe)
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  get quiet(): boolean {
    return this.#options.quiet ?? false
  }

  configure(options: SharedOptions): void {
    this.#options = options
  }

  print(value: unknown, renderText: () => string): void {
    const text = formatResult(value, this.#options.output, renderText)
    this.printed = Promise.all([text, this.printed]).then(([line]) => {
      this.#progress?.clear()
      process.stdout.write(line)
    })
    // runCli handles it when it awaits `printed`
    this.printed.catch(() => {})
  }

  log(line: string): void {
    this.#progress?.clear()
    process.stderr.write(`${line}\n`)
  }

  progress(): Progress {
    this.#progress ??= createProgress(process.stderr, {
      quiet: this.quiet,
      format: this.#options.logFormat ?? 'text',
    })
    return this.#progress
  }

  async fail(
    error: unknown,
    { program, argv }: { program: string; argv: readonly string[] },
  ): Promise<never> {
    if (error instanceof CommanderError && error.exitCode === 0) return this.end(0)
    if (error instanceof CommanderError && error.code === 'commander.help') return this.end(2)
    if (this.#received !== undefined && isAbort(error)) return this.end(0)
    const reported = toReported(error, program)
    this.#progress?.clear()
    process.stderr.write(
      formatError(reported, {
        json: [outputAskedFor(argv), valueIn(argv, '--log-format')].includes('json'),
        color: process.stderr.isTTY === true && !process.env['NO_COLOR'],
        verbose: argv.includes('--verbose'),
      }),
    )
    return this.end(reported.exitCode)
  }

  /** A signal decides the exit code, whatever the command made of it; only a wrong digest takes precedence. */
  async end(code: number): Promise<never> {
    this.#progress?.clear()
    // a pipe buffers 64 KiB: what its reader has not read yet would be lost
    await Promise.all([flushed(process.stdout), flushed(process.stderr)])
    if (this.#received !== undefined && code !== 6) process.exit(128 + constants.signals[this.#received])
    process.exit(code)
  }

  #onSignal(name: NodeJS.Signals): void {
    // a second one ends the process at once
    if (this.#received !== undefined) process.exit(128 + constants.signals[name])
    this.#received = name
    this.#stop.abort(new DOMException(`stopped by ${name}`, 'AbortError'))
    setTimeout(() => process.exit(128 + constants.signals[name]), graceMs).unref()
  }
}

/** The formats also apply to errors that occur before the options are parsed. */
function outputAskedFor(argv: readonly string[]): string | undefined {
  const glued = argv.findLast(word => /^-o[a-z]/.test(word))
  return glued?.slice(2) ?? valueIn(argv, '-o') ?? valueIn(argv, '--output')
}

function valueIn(argv: readonly string[], option: string): string | undefined {
  const at = argv.findLastIndex(word => word === option || word.startsWith(`${option}=`))
  const word = argv[at]
  return word === option ? argv[at + 1] : word?.slice(option.length + 1)
}

/** A reader that has closed its end counts as having read everything. */
async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed) return
  await new Promise<void>(resolve => stream.write('', () => resolve()))
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || isAbort(error.cause))
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
}
