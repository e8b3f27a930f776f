import { type Command, InvalidArgumentError } from 'commander'
import { defined } from '../../core/defined.ts'
import { openRotatedLog } from '../../core/rotated-log.ts'
import { type ServedSite, serveSite } from '../../deploy/serve.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { maxLogSize } from '../../install/background.ts'
import { boundedLog } from '../../serve/log-rate.ts'
import { accessLine } from '../../serve/log-sink.ts'
import { passedSockets } from '../../service/activation.ts'
import { serviceNotifier } from '../../service/notify.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { selfCommand } from './context.ts'
import { bundleOptions, processCount, serverOptions } from './options.ts'

interface ServeCommandOptions extends SiteOptions {
  accessLog?: boolean
  logFile?: string
  logSize?: number
  logKeep?: number
  stopTimeout?: number
  processes?: number
}

/** `serve [bundle…]`: of `airgap` too, where bundles are named as arguments. */
export function serveCommand(program: Command, shell: Shell): void {
  addExamples(serverOptions(bundleOptions(program.command('serve'))), [
    [`${program.name()} serve bundle.tar --address 10.0.0.10`],
    [
      `${program.name()} serve bundle.tar --registry-port 0 --http-port 0 --listen 127.0.0.1`,
      'on any free ports, for this machine only',
    ],
  ])
    .description('Serve the registry and the HTTP server from the bundle until stopped')
    .argument('[bundle...]', 'bundles (default: --bundle, or the .tar next to the program)')
    .option('--require-login', 'let only users read (default: everybody); `users add` adds users')
    .option('--no-require-login', 'let everybody read, whatever the site was set up with')
    .option('--access-log', 'log every request, not only those that failed')
    .option(
      '--log-file <file>',
      'append the log to this file instead of printing it to stderr; opened again on SIGHUP and SIGUSR1',
    )
    .option('--log-size <MiB>', 'rotate the log file at this size (default: 10)', mebibytes)
    .option('--log-keep <number>', 'rotated log files to keep: FILE.1, FILE.2, … (default: 1)', keptLogs)
    .option(
      '--stop-timeout <seconds>',
      'after SIGTERM or Ctrl-C, how long downloads may go on (default: 5)',
      stopTimeout,
    )
    .option(
      '--processes <number>',
      'processes that answer requests (default: one per core, at most 16; 1: no further process)',
      processCount,
    )
    .action(
      async (
        named: string[],
        { accessLog = false, logFile, logSize, logKeep = 1, stopTimeout, ...options }: ServeCommandOptions,
      ) => {
        const bundle = [...named, ...(options.bundle ?? [])]
        const file =
          logFile === undefined
            ? undefined
            : openRotatedLog(logFile, { limit: logSize ?? maxLogSize, keep: logKeep })
        // Node.js would start its debugger at this signal
        process.on('SIGUSR1', () => file?.reopen())
        const line = (text: string) => {
          if (file === undefined) shell.log(text)
          else file.write(text)
        }
        if (stopTimeout !== undefined) shell.allowCleanup(stopTimeout + 5_000)
        const notifier = serviceNotifier(process.env, process.pid)
        shell.signal.addEventListener('abort', () => void notifier.stopping(), { once: true })
        const failed = boundedLog(entry => line(accessLine(entry, new Date())))
        await serveSite(
          { ...options, bundle },
          {
            signal: shell.signal,
            now: () => new Date(),
            log: { all: accessLog, line, failed: entry => failed.log(entry) },
            self: selfCommand(),
            ...defined({ stopGraceMs: stopTimeout }),
            onHangup: listener =>
              shell.onHangup(() => {
                file?.reopen()
                listener()
              }),
            reloading: () => void notifier.reloading(),
            reloaded: site => void notifier.ready(statusOf(site)),
            sockets: passedSockets(process.env, process.pid),
            serving(site) {
              void notifier.ready(statusOf(site))
              shell.print(site, () => [
                `registry     ${site.registry}`,
                `HTTP server  ${site.httpServer}  (${site.folders.join(' ')})`,
                ...certificateLine(site),
                `serving      ${site.bundles.map(({ path }) => path).join(', ')} on ${site.listen}; stop with Ctrl-C or SIGTERM`,
              ])
            },
          },
        ).finally(() => {
          notifier.close()
          failed.flush()
          file?.close()
        })
      },
    )
}

/** One line for `systemctl status`. */
function statusOf({ bundles }: ServedSite): string {
  return `serving ${bundles.map(({ path }) => path).join(', ')}`
}

function mebibytes(text: string): number {
  const value = Number(text)
  if (/^\d{1,6}$/.test(text) && value >= 1) return value * (1 << 20)
  throw new InvalidArgumentError('must be a number of MiB, at least 1')
}

function keptLogs(text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('must be a number from 0 to 999')
}

/** milliseconds */
function stopTimeout(text: string): number {
  const seconds = Number(text)
  if (/^\d{1,4}$/.test(text) && seconds <= 3_600) return seconds * 1_000
  throw new InvalidArgumentError('must be a number of seconds, at most 3600')
}

/** A person compares it with what a machine shows of the CA that it has fetched. */
function certificateLine({ certificate, httpServer }: ServedSite): string[] {
  if (certificate === null)
    return ['TLS          off: anybody in the network can read and change what is sent']
  const { of, fingerprint } = certificate
  return of === 'ca'
    ? [`CA           ${httpServer}/clients/ca.crt  (SHA-256 ${fingerprint})`]
    : [`certificate  SHA-256 ${fingerprint}`]
}
