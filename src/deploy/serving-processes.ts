import { defined } from '../core/defined.ts'
import { withoutSecrets } from '../core/environment.ts'
import { AirgapError } from '../core/errors.ts'
import type { Signer } from '../kinds/mount.ts'
import { answerOverlay } from '../overlay/remote-owner.ts'
import { eventLine } from '../serve/log-sink.ts'
import { answerVerdicts, noteRemoteDamage, verdictMessages } from '../serve/remote-verdicts.ts'
import { supervise } from '../serve/supervisor.ts'
import { withoutService } from '../service/activation.ts'
import { openServerKey } from '../site/server-key.ts'
import { proveServer, type ServerClaim } from '../site/server-proof.ts'
import { aboutBundle } from './about-bundle.ts'
import {
  type GenerationOptions,
  monitoringQuestions,
  type ProcessSetup,
  type ServingOptions,
  type SiteGeneration,
  tlsNotice,
} from './serving-options.ts'
import { answerAccess, noteRemoteWrite, tellAccess } from './site-access.ts'
import { openKey } from './site-key.ts'

/** Answers in several processes, which this one supervises: it has the ports, the keys and the log, and they have the open bundles. */
export async function serveInProcesses({
  entrance,
  bundles,
  address,
  state,
  verdicts,
  verify,
  access,
  overlay,
  tls,
  now,
  log,
  processes,
  self,
  monitoring,
  ended,
}: GenerationOptions): Promise<SiteGeneration> {
  const serverKey = await openServerKey(state.folder)
  const started = now()
  const setup: ProcessSetup = {
    bundles: bundles.map(({ path, identity }) => ({ path, indexDigest: identity.digest })),
    overlay: state.paths.overlay,
    address,
    site: state.id,
    about: bundles.map(aboutBundle),
    now: started.toISOString(),
    logsAll: log.all,
    verify,
    processes,
    ...defined({ tls }),
  }
  const answers = signatures(openKey(state, () => started))
  let folders: string[] = []
  const supervisor = supervise({
    size: processes,
    servers: ['registry', 'http'],
    command: [...self, servingCommand],
    environment: withoutService(withoutSecrets(process.env)),
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
      noteRemoteWrite(access, { what, value })
    },
    ended({ pid, reason, restartMs }) {
      const at = now()
      ended({ process: pid, at: at.toISOString(), reason })
      log.line(eventLine(at, { process: pid, ended: reason, restartMs }))
    },
  })
  const unsubscribe = [
    tellAccess(access, supervisor.tell),
    verdicts.onDamage((content, state) => supervisor.tell(verdictMessages.damage, { content, state })),
  ]
  const silence = () => {
    for (const end of unsubscribe) end()
  }
  return {
    address,
    take: supervisor.take,
    ready: supervisor.ready.then(details => {
      folders = details.get('http') as string[]
    }),
    failed: supervisor.failed,
    folders: () => folders,
    renewTls(renewed) {
      // for processes that are started again
      setup.tls = renewed
      supervisor.tell(tlsNotice, renewed)
    },
    processes: supervisor.processes,
    counters: supervisor.counters,
    restarts: supervisor.restarts,
    drain() {
      const draining = supervisor.drain()
      void draining.ended.then(silence)
      return draining
    },
    async stop(how) {
      silence()
      await supervisor.stop(how)
    },
  }
}

/** The hidden command that a serving process runs; it works only for a process that a supervisor has started. */
export const servingCommand = 'serving-process'

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
    if (what === 'fingerprint') return signer.fingerprint
    const sign = what === 'clear-sign' ? signer.clearSign : signer.detachSign
    const name = `${what} ${text}`
    const signature = made.get(name) ?? sign(text)
    made.set(name, signature)
    return await signature
  }
}
