import { defined } from '../core/defined.ts'
import { withoutSecrets } from '../core/environment.ts'
import { AirgapError } from '../core/errors.ts'
import type { Signer } from '../kinds/mount.ts'
import { answerOverlay } from '../overlay/remote-owner.ts'
import type { Entrance } from '../serve/entrance.ts'
import { answerVerdicts, noteRemoteDamage, verdictMessages } from '../serve/remote-verdicts.ts'
import { supervise } from '../serve/supervisor.ts'
import { openServerKey } from '../site/server-key.ts'
import { proveServer, type ServerClaim } from '../site/server-proof.ts'
import {
  graceMs,
  monitoringQuestions,
  type ProcessSetup,
  type Serving,
  type ServingOptions,
  type ServingState,
} from './serving-options.ts'
import { answerAccess, tellAccess } from './site-access.ts'
import { openKey } from './site-key.ts'
import { siteMonitoring } from './site-monitoring.ts'

/** Answers in several processes, which this one supervises: it has the ports, the keys and the log, and they have the open bundles. */
export async function serveInProcesses(
  entrance: Entrance,
  {
    bundles,
    address,
    state,
    overlay,
    verdicts,
    verify,
    access,
    now,
    log,
    processes,
    self,
    tls,
  }: ServingOptions,
): Promise<Serving> {
  const serverKey = await openServerKey(state.folder)
  const started = now()
  const setup: ProcessSetup = {
    bundles: bundles.map(({ path, identity }) => ({ path, indexDigest: identity.digest })),
    overlay: state.paths.overlay,
    address,
    site: state.id,
    now: started.toISOString(),
    logsAll: log.all,
    verify,
    processes,
    ...defined({ tls }),
  }
  const answers = signatures(openKey(state, () => started))
  let lastEnd: ServingState['lastEnd'] = null
  const supervisor = supervise({
    size: processes,
    servers: ['registry', 'http'],
    command: [...self, servingCommand],
    environment: withoutSecrets(process.env),
    descriptors: bundles.map(({ source }) => descriptorOf(source)),
    setup,
    async answer(what, value, signal) {
      const verdict = answerVerdicts(verdicts, { what, value, signal })
      if (verdict !== undefined) return await verdict
      const answer = answerAccess(access, { what, value })
      if (answer !== undefined) return await answer
      if (what === monitoringQuestions.readiness) return await monitoring.readiness()
      if (what === monitoringQuestions.metrics) return await monitoring.metrics(String(value))
      const pushed = answerOverlay(overlay, { what, value, signal })
      if (pushed !== undefined) return await pushed
      if (what === 'prove')
        return proveServer(serverKey, { site: state.id, ...(value as Omit<ServerClaim, 'site'>) })
      return await answers(what, String(value))
    },
    ready: () => entrance.retry(),
    reported(report, pid) {
      for (const one of report.log) {
        if (typeof one === 'string') log.line(one)
        else log.failed(one)
      }
      if (report.lost > 0) log.line(eventLine(now(), { process: pid, lost: report.lost }))
    },
    told(what, value) {
      if (what === verdictMessages.damage) noteRemoteDamage(verdicts, value)
    },
    ended({ pid, reason, restartMs }) {
      const at = now()
      lastEnd = { process: pid, at: at.toISOString(), reason }
      log.line(eventLine(at, { process: pid, ended: reason, restartMs }))
    },
  })
  const servingState = (): ServingState => ({
    processes: supervisor.processes(),
    restarts: supervisor.restarts(),
    lastEnd,
    servers: supervisor.counters(),
  })
  const monitoring = siteMonitoring({ bundles, state, verdicts, now, serving: servingState })
  entrance.open(supervisor.take)
  tellAccess(access, supervisor.tell)
  verdicts.onDamage((content, state) => supervisor.tell(verdictMessages.damage, { content, state }))
  const close = async () => {
    entrance.close()
    await supervisor.stop({ graceMs })
  }
  try {
    const details = await supervisor.ready
    return {
      address,
      folders: details.get('http') as string[],
      state: servingState,
      failed: supervisor.failed,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The hidden command that a serving process runs; it works only for a process that a supervisor has started. */
export const servingCommand = 'serving-process'

function eventLine(at: Date, event: object): string {
  return JSON.stringify({ at: at.toISOString(), ...event })
}

function descriptorOf({ name, size, extents }: ServingOptions['bundles'][number]['source']): number {
  const [first, second] = extents?.(0, size) ?? []
  if (first !== undefined && second === undefined) return first.fd
  throw new AirgapError('INTERNAL', 'the bundle is not one open file', { item: name })
}

/**
 * Answers questions about the site's key. A text is signed once: signatures have a random part, and clients that fetch an index and its
 * signature from two processes would otherwise get a pair that never was one.
 */
function signatures(key: Promise<Signer>): (what: string, text: string) => Promise<string> {
  // it is awaited once the first process asks for it
  key.catch(() => {})
  const made = new Map<string, Promise<string>>()
  return async (what, text) => {
    const signer = await key
    if (what === 'public-key') return signer.publicKeyArmored
    const sign = what === 'clear-sign' ? signer.clearSign : signer.detachSign
    const name = `${what} ${text}`
    const signature = made.get(name) ?? sign(text)
    made.set(name, signature)
    return await signature
  }
}
