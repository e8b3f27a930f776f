import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { defined } from '../../core/defined.ts'
import { AirgapError, isKnownCode } from '../../core/errors.ts'
import { lockHolder } from '../../core/process-lock.ts'
import { shellWord } from '../../core/shell-word.ts'
import type { SiteDescription } from '../../site/site-view.ts'
import { logSize, logTail, startBackground, stopHolder } from '../background.ts'
import { describedAt, findServers, type SiteServers } from '../site-servers.ts'
import type { Step, StepContext, UndoStep } from '../step.ts'

export interface ServeOptions {
  /** program and arguments that serve in the foreground */
  command: readonly string[]
  /** what the servers have to report about themselves, besides their client files */
  expected: Omit<SiteDescription, 'clients'>
  /** digest of the client files; for `plan` that of files without a key, as there may be none yet */
  clients: (purpose: 'plan' | 'write') => Promise<string>
  servers: SiteServers
  /** when the servers hash content */
  verify: string
  /** where the servers listen, for people */
  listens: readonly string[]
  /** has running servers serve what is configured now; `restarted`: connections waited; anything else: they may not serve it */
  reload: (signal: AbortSignal) => Promise<'reloaded' | 'restarted' | 'signalled' | 'not running'>
  /** held by the serving process */
  lock: string
  log: string
  /** the systemd unit that runs the servers instead of this program; absent: none */
  service?: { unit: string; restart(signal: AbortSignal): Promise<void> }
}

const startTimeoutMs = 60_000

/** Starts the site's servers in the background; has them reload, or restarts them, if content, address or client files have changed. */
export function serveStep(options: ServeOptions): Step {
  const { command, expected, servers, listens, verify, lock, log } = options
  const complete = async (): Promise<SiteDescription> => ({
    ...expected,
    clients: await options.clients('write'),
  })
  const inBackground = () => [
    `run in the background: ${command.map(shellWord).join(' ')}`,
    `  log in ${log}; it listens on ${listens.join(' and ')}`,
  ]
  return {
    id: 'serve',
    title: 'Start the registry and the HTTP server',
    needs: ['verify'],
    inputs: async () => ({
      expected,
      listens,
      ...defined({ verify: verify === 'once' ? undefined : verify }),
      clients: await options.clients('plan'),
    }),
    describe: async () => [
      ...(options.service === undefined
        ? []
        : [`reload or restart the systemd unit ${options.service.unit}`]),
      ...(options.service === undefined ? inBackground() : []),
      `  registry ${expected.registry}, HTTP server ${expected.httpServer}`,
    ],
    async check({ signal }) {
      const { description, registry } = await findServers(servers, signal)
      return registry === 'ours' && isExpected(description, await complete()) ? 'done' : 'pending'
    },
    async apply(context) {
      const found = await findServers(servers, context.signal)
      const wanted = await complete()
      const isRunning = found.registry === 'ours' && isExpected(found.description, wanted)
      const isOtherwise = await runsOtherwise(lock, command)
      // a service has copies of its settings, some of which it does not report
      if (isRunning && !isOtherwise && options.service === undefined) return
      const reloaded =
        found.registry === 'ours' && !isOtherwise
          ? await options.reload(context.signal).catch(() => undefined)
          : undefined
      const isReloaded = reloaded === 'reloaded' || reloaded === 'restarted'
      if (isReloaded && (await areServing(servers, { wanted, signal: context.signal }))) {
        context.progress.note(
          reloaded === 'reloaded'
            ? 'serve: the running servers reloaded; no download was cut off'
            : `serve: restarted ${options.service?.unit}; connections waited meanwhile`,
        )
        return
      }
      if (found.http === 'stranger') await refuseOtherSite(servers, context.signal)
      if (options.service !== undefined) return await restart(options.service, { options, wanted, context })
      if ((await stopHolder(lock, { signal: context.signal })) === 'stopped')
        context.progress.note(
          'serve: stopped the servers, which ran with other content, another address, other client files or other options',
        )
      await start(options, { wanted, context })
    },
  }
}

/** Stops the servers; `lock` is held by their process. */
export function undoServe(lock: string): UndoStep {
  return {
    id: 'serve',
    async undo({ signal }) {
      await stopHolder(lock, { signal })
    },
  }
}

/** The servers do not report where they listen, and when they hash; the command that started them says so. */
async function runsOtherwise(lock: string, command: readonly string[]): Promise<boolean> {
  const holder = await lockHolder(lock)
  if (holder?.place !== 'here') return false
  const running = await readFile(`/proc/${holder.pid}/cmdline`, 'utf8').catch(() => '')
  const words = running.split('\0')
  const listen = optionIn(words, '--listen')
  if (listen !== undefined && listen !== optionIn(command, '--listen')) return true
  if (words.includes('--require-login') !== command.includes('--require-login')) return true
  return (optionIn(words, '--verify') ?? 'once') !== (optionIn(command, '--verify') ?? 'once')
}

function optionIn(words: readonly string[], option: string): string | undefined {
  return words.includes(option) ? words[words.indexOf(option) + 1] : undefined
}

async function start(
  { command, servers, lock, log }: ServeOptions,
  { wanted, context }: { wanted: SiteDescription; context: StepContext },
): Promise<void> {
  const logStart = await logSize(log)
  const child = await startBackground(command, { log })
  try {
    const deadline = performance.now() + startTimeoutMs
    const isServing = async () => await areServing(servers, { wanted, signal: context.signal })
    // a program that holds a port and says nothing must not delay the error of the one that was started
    while (!(await Promise.race([isServing(), child.exit.then(() => false)]))) {
      const ended = child.ended()
      if (ended !== undefined) throw endedAtOnce(ended, { log, tail: await logTail(log, logStart) })
      if (performance.now() > deadline) throw neverAnswered(servers.urls.http, log)
      await sleep(50, undefined, { signal: context.signal })
    }
    const pid = (await lockHolder(lock))?.pid ?? child.pid
    context.progress.note(
      `serve: registry ${wanted.registry}, HTTP server ${wanted.httpServer} (process ${pid})`,
    )
  } catch (error) {
    // a process that was started here and does not serve must not stay
    if (child.ended() === undefined) killQuietly(child.pid)
    throw error
  }
}

/** systemd reports that they serve; whether they serve what they should is checked all the same. */
async function restart(
  { unit, restart }: NonNullable<ServeOptions['service']>,
  {
    options: { servers },
    wanted,
    context,
  }: { options: ServeOptions; wanted: SiteDescription; context: StepContext },
): Promise<void> {
  await restart(context.signal)
  if (await areServing(servers, { wanted, signal: context.signal })) {
    context.progress.note(`serve: ${unit} serves ${wanted.registry} and ${wanted.httpServer}`)
    return
  }
  throw new AirgapError('STEP_FAILED', 'the systemd service does not serve this site', {
    item: unit,
    likely: 'its units are of another version, or its settings are of another site',
    next: `read its log (journalctl -u ${unit}), then run \`offline-deploy service install\``,
  })
}

async function areServing(
  servers: SiteServers,
  { wanted, signal }: { wanted: SiteDescription; signal: AbortSignal },
): Promise<boolean> {
  const { registry, description } = await findServers(servers, signal)
  return registry === 'ours' && isExpected(description, wanted)
}

function isExpected(found: SiteDescription | undefined, expected: SiteDescription): boolean {
  return (
    found !== undefined &&
    found.site === expected.site &&
    found.registry === expected.registry &&
    found.httpServer === expected.httpServer &&
    found.clients === expected.clients &&
    found.bundles.join() === expected.bundles.join()
  )
}

/** The child prints its error as JSON: it becomes the error of this program, with its exit code. */
function endedAtOnce(ended: string, { log, tail }: { log: string; tail: string }): AirgapError {
  const line = tail.split('\n').findLast(text => text.startsWith('{"error":'))
  const error = line === undefined ? undefined : errorIn(line)
  if (error !== undefined) return error
  return new AirgapError('STEP_FAILED', `the servers exited at once (${ended})`, {
    item: log,
    likely: tail.trim().split('\n').at(-1)?.slice(0, 300) || 'the log is empty',
    next: 'read the log, correct the cause and run the same command again',
  })
}

function errorIn(line: string): AirgapError | undefined {
  try {
    const { code, message, ...details } = JSON.parse(line).error
    if (!isKnownCode(code) || typeof message !== 'string') return undefined
    const texts = Object.entries(details).filter(([, value]) => typeof value === 'string')
    return new AirgapError(code, message, Object.fromEntries(texts))
  } catch {
    return undefined
  }
}

function neverAnswered(localUrl: string, log: string): AirgapError {
  return new AirgapError('STEP_FAILED', `the servers did not answer within ${startTimeoutMs / 1000} s`, {
    item: localUrl,
    likely: 'a slow medium, or a firewall on this host',
    next: `read ${log}, then run the same command again`,
  })
}

/** Another site of this host is recognized by what it says; whatever else listens is reported by the server that can't listen there. */
async function refuseOtherSite({ urls, ca, site }: SiteServers, signal: AbortSignal): Promise<void> {
  const found = (await describedAt({ urls, ca }, signal))?.description
  if (found === undefined || found.site === site) return
  throw new AirgapError('PORT_IN_USE', 'another site is being served here', {
    item: `${urls.http} (registry ${found.registry})`,
    likely: 'another state folder was used before',
    next: 'use that one with --site, stop it with `offline-deploy stop --site FOLDER`, or choose other ports',
  })
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch {
    // it has ended
  }
}
