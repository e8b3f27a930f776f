import { closeSync, constants, openSync } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { Command, CommanderError, Option } from 'commander'
import { oneLine } from '../../core/printable.ts'
import type { Progress } from '../../core/progress.ts'
import { toolVersion } from '../../core/tool-version.ts'
import { formatError } from './format-error.ts'
import { loadCommands } from './load-commands.ts'
import {
  formatResult,
  hasColour,
  type OutputFormat,
  outputFormats,
  parseOutputFormat,
  type TextResult,
} from './output.ts'
import { createProgress, type DrawnProgress, type LogFormat, logFormats } from './progress.ts'
import { toReported } from './report-error.ts'
import { versionLine } from './version.ts'

/** A command's access to the terminal: commands neither print nor exit in any other way. */
export interface Shell {
  /** aborted by SIGINT, SIGTERM and SIGHUP */
  readonly signal: AbortSignal
  readonly quiet: boolean
  /** Prints the result of the command to stdout. `value` must be JSON. */
  print(value: unknown, renderText: () => TextResult): void
  /**
   * Sets what SIGHUP does instead of stopping the program, as daemons have it. When the terminal that the program was started from is closed,
   * SIGHUP stops it all the same.
   */
  onHangup(listener: () => void): void
  /** Writes one line to stderr, even with --quiet: the log of a long-running command. */
  log(line: string): void
  /** Sets what to do after Ctrl-C, printed if a signal ends the command: `run the same command again: it continues`. */
  whenStopped(advice: string): void
  /** Sets how long the command may clean up after a signal, in milliseconds, before the process exits anyway (default: 10,000). */
  allowCleanup(ms: number): void
  /** Returns the progress on stderr; the same object for the whole run. */
  progress(): Progress
}

/** Adds one command to the program. */
export type DefineCommand = (program: Command, shell: Shell) => void

export interface Cli {
  /** the program's name as the operator types it */
  name: string
  description: string
  /** loads each command by name: most need neither the network code nor OpenPGP */
  commands: Readonly<Record<string, () => Promise<DefineCommand>>>
  /** loads each program that only this program starts, as a process with a channel or as a thread: no command, in neither help nor completion */
  internal?: Readonly<Record<string, () => Promise<() => Promise<never>>>>
}

/** How long an aborted command may clean up before the process exits anyway, unless it takes longer (`allowCleanup`). */
const graceMs = 10_000

/** Runs the command that `argv` names, prints its result or error, and exits with the code that errors.ts defines. */
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
    const command = argv.slice(2).find(word => program.commands.some(one => one.name() === word))
    return await run.fail(error, { program: [cli.name, command].filter(Boolean).join(' '), argv })
  }
  return await run.end(0)
}

interface SharedOptions {
  output: OutputFormat
  logFormat?: LogFormat
  quiet?: boolean
  verbose?: boolean
}

/** Creates the program with the options that every command has, without commands. */
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
    .version(versionLine(name), '-V, --version', 'print the version of this program and of its Node.js')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'Show the help of a command')
    .configureHelp({ showGlobalOptions: true, optionDescription, subcommandTerm })
    .showSuggestionAfterError()
}

function addCommands(
  program: Command,
  { run, defines }: { run: CliRun; defines: readonly DefineCommand[] },
): void {
  for (const define of defines) define(program, run)
  program
    .command('version')
    .description('Print the version of this program and of its Node.js')
    .action(() => {
      const name = program.name()
      const versions = { version: toolVersion, node: process.versions.node }
      run.print({ name, ...versions }, () => versionLine(name))
    })
  program.hook('preAction', (_, command) => run.configure(command.optsWithGlobals()))
  // .command() copies the settings when it is called, so set them for every command: errors must be thrown, not exit
  for (const command of allOf(program)) command.exitOverride().configureOutput({ outputError: () => {} })
}

function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)]
}

/** Omits the default of an option that can be repeated, which is an empty list. */
function optionDescription({ description, defaultValue, defaultValueDescription, envVar }: Option): string {
  const shown = defaultValueDescription ?? (Array.isArray(defaultValue) ? undefined : defaultValue)
  const extra = [
    ...(shown === undefined ? [] : [`default: ${shown}`]),
    ...(envVar === undefined ? [] : [`env: ${envVar}`]),
  ]
  return extra.length === 0 ? description : `${description} (${extra.join(', ')})`
}

/** Omits `[options]`, which every command has, to leave room for the descriptions. */
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
  #graceMs = graceMs
  #advice = ''
  #hangup: { listener: () => void; hadTerminal: boolean } | undefined
  printed: Promise<void> = Promise.resolve()

  constructor() {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => this.#onSignal(name))
    // a reader that closes the pipe (`| head`) must not stop running work
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

  print(value: unknown, renderText: () => TextResult): void {
    const text = formatResult(value, this.#options.output, renderText, { color: hasColour(process.stdout) })
    this.printed = Promise.all([text, this.printed]).then(([line]) => {
      this.#progress?.clear()
      process.stdout.write(line)
    })
    // runCli awaits `printed` and reports its error; without this handler it would be an unhandled rejection
    this.printed.catch(() => {})
  }

  log(line: string): void {
    this.#progress?.clear()
    process.stderr.write(`${oneLine(line)}\n`)
  }

  onHangup(listener: () => void): void {
    this.#hangup = { listener, hadTerminal: hasTerminal() }
  }

  whenStopped(advice: string): void {
    this.#advice = advice
  }

  allowCleanup(ms: number): void {
    this.#graceMs = ms
  }

  progress(): Progress {
    this.#progress ??= createProgress(process.stderr, {
      quiet: this.quiet,
      format: this.#options.logFormat ?? 'text',
      color: hasColour(process.stderr),
    })
    return this.#progress
  }

  async fail(
    error: unknown,
    { program, argv }: { program: string; argv: readonly string[] },
  ): Promise<never> {
    if (error instanceof CommanderError && error.exitCode === 0) return this.end(0)
    if (error instanceof CommanderError && error.code === 'commander.help') return this.end(2)
    if (this.#received !== undefined && isAbort(error)) {
      if (this.#advice !== '' && !this.quiet) this.log(`stopped: ${this.#advice}`)
      return this.end(0)
    }
    const reported = toReported(error, program)
    // a result that comes with an error (`lock --check`) is complete before the error
    await this.printed.catch(() => {})
    this.#progress?.clear()
    process.stderr.write(
      formatError(reported, {
        json: [outputOption(argv), valueIn(argv, '--log-format')].includes('json'),
        color: hasColour(process.stderr),
        verbose: argv.includes('--verbose'),
      }),
    )
    return this.end(reported.exitCode)
  }

  /** A signal determines the exit code, whatever the command returned; only a wrong digest (6) takes precedence. */
  async end(code: number): Promise<never> {
    this.#progress?.clear()
    // a pipe buffers 64 KiB: exiting now would lose what its reader has not read yet
    await Promise.all([flushed(process.stdout), flushed(process.stderr)])
    if (this.#received !== undefined && code !== 6) process.exit(128 + osConstants.signals[this.#received])
    process.exit(code)
  }

  #onSignal(name: NodeJS.Signals): void {
    if (name === 'SIGHUP' && this.#hangup !== undefined) {
      const { listener, hadTerminal } = this.#hangup
      if (!hadTerminal || hasTerminal()) {
        listener()
        return
      }
    }
    // a second signal exits immediately
    if (this.#received !== undefined) process.exit(128 + osConstants.signals[name])
    this.#received = name
    if (name === 'SIGINT' && process.stderr.isTTY && !this.quiet)
      // `^C` stays on a line of its own
      process.stderr.write('\nstopping; press Ctrl-C again to stop at once\n')
    this.#stop.abort(new DOMException(`stopped by ${name}`, 'AbortError'))
    setTimeout(() => process.exit(128 + osConstants.signals[name]), this.#graceMs).unref()
  }
}

/** Finds the output format without commander: errors can occur before the options are parsed. */
function outputOption(argv: readonly string[]): string | undefined {
  const joined = argv.findLast(word => /^-o[a-z]/.test(word))
  return joined?.slice(2) ?? valueIn(argv, '-o') ?? valueIn(argv, '--output')
}

function valueIn(argv: readonly string[], option: string): string | undefined {
  const at = argv.findLastIndex(word => word === option || word.startsWith(`${option}=`))
  const word = argv[at]
  return word === option ? argv[at + 1] : word?.slice(option.length + 1)
}

/** Resolves when everything was read, or the reader closed the pipe. */
async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed) return
  await new Promise<void>(resolve => stream.write('', () => resolve()))
}

/** Whether the terminal that controls this process exists: opening it fails once it was closed (tty(4)). */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', constants.O_RDONLY | constants.O_NOCTTY))
    return true
  } catch {
    return false
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || isAbort(error.cause))
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
}
