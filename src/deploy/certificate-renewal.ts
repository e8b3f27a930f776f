import { randomBytes } from 'node:crypto'
import type { ServerCertificate } from '../site/site-ca.ts'
import type { ServingTls } from './serving-options.ts'

/** How often the files are looked at: a certificate that was renewed by hand is used soon after. */
const checkEveryMs = 10_000
/** Of the keys for sessions that clients resume: who gets hold of them reads no session that ended longer ago (with TLS 1.2). */
const ticketKeysMs = 12 * 60 * 60_000

export interface RenewalOptions {
  current: ServingTls
  /** Opens the certificate as it should be now; one that is too old is made again. */
  open(): Promise<ServerCertificate | undefined>
  /** takes what new connections get */
  renew(tls: ServingTls): void
  /** called for each renewal, and once for each reason why there is none: the servers keep the certificate that they have */
  report(event: { renewed: string } | { failed: string }): void
  everyMs?: number
}

/** Keys for the tickets with which clients resume sessions, base64 of 48 bytes. */
export function newTicketKeys(): string {
  return randomBytes(48).toString('base64')
}

/** Looks after the certificate of running servers until it is closed. */
export function keepCertificate(options: RenewalOptions): { close(): Promise<void> } {
  let { current } = options
  let keysSince = performance.now()
  let failed = ''
  let checking = Promise.resolve()

  async function check(): Promise<void> {
    if (performance.now() - keysSince > ticketKeysMs) {
      keysSince = performance.now()
      current = { ...current, ticketKeys: newTicketKeys() }
      options.renew(current)
    }
    try {
      const { certificate, key } = (await options.open()) ?? current
      failed = ''
      if (certificate === current.certificate && key === current.key) return
      current = { ...current, certificate, key }
      options.renew(current)
      options.report({ renewed: certificate })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== failed) options.report({ failed: reason })
      failed = reason
    }
  }

  const timer = setInterval(() => {
    checking = checking.then(check)
  }, options.everyMs ?? checkEveryMs)
  timer.unref()
  return {
    async close() {
      clearInterval(timer)
      await checking
    },
  }
}
