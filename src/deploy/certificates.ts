import type { X509Certificate } from 'node:crypto'
import { AirgapError } from '../core/errors.ts'
import { inGuardedFolder } from '../core/guarded-file.ts'
import type { MachineFinding } from '../install/preflight/finding.ts'
import { thisHost } from '../install/preflight/finding.ts'
import { serviceFolder } from '../service/units.ts'
import type { SiteConfig } from '../site/config.ts'
import {
  type KeptCertificate,
  readServerCertificate,
  readSiteCa,
  renewServerCertificate,
} from '../site/site-ca.ts'
import type { SiteState } from '../site/state.ts'
import { readServiceRecord } from './service-record.ts'
import { reloadService } from './service-reload.ts'
import { existingSite, findSite } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

type Paths = SiteState['paths']

export interface Certificates {
  site: string
  /** where the certificates come from; null: plain HTTP */
  tls: 'site-ca' | 'files' | null
  certificates: CertificateView[]
}

export interface CertificateView {
  of: 'ca' | 'server'
  subject: string
  /** host names and IP addresses; none for a CA */
  names: string[]
  /** ISO 8601, as all times here */
  from: string
  until: string
  /** SHA-256, as `openssl x509 -fingerprint -sha256` shows it */
  fingerprint: string
  problem: CertificateProblem | null
}

export interface CertificateProblem {
  level: 'error' | 'warning'
  /** a clause, for a message that names the certificate */
  what: string
  next: string
}

const day = 24 * 60 * 60_000 /* milliseconds */
/** before the end of its validity, until which a certificate needs no attention */
const warnMs = 30 * day

/** Shows the certificates of a site; changes nothing. Throws FILE_NOT_FOUND where nothing was served or deployed yet. */
export async function showCertificates(
  options: SiteOptions,
  { now }: { now: () => Date },
): Promise<Certificates> {
  const { siteFolder, state } = await existingSite(options)
  const tls = await tlsOfSite(options)
  return { site: siteFolder, ...(await certificatesOf({ tls }, { paths: state.paths, now: now() })) }
}

/**
 * Makes another certificate of the site's CA; running servers use it within ten seconds. Throws USAGE for a site that has none of its own,
 * FILE_NOT_FOUND where its CA was not made yet.
 */
export async function renewCertificates(
  options: SiteOptions,
  { now }: { now: () => Date },
): Promise<Certificates> {
  const { siteFolder, state } = await existingSite(options)
  const tls = await tlsOfSite(options)
  if (tls?.by !== 'site-ca')
    throw new AirgapError('USAGE', 'the site has no certificate of its own to renew', {
      item: siteFolder,
      likely:
        tls === null
          ? 'it was set up with plain HTTP'
          : 'its certificate comes from files (--tls-cert): running servers read them again when they change',
      next:
        tls === null
          ? 'run `offline-deploy apply --tls`, which makes a CA and a certificate'
          : `replace ${tls.certificate} and ${tls.key}`,
    })
  await renewOwnCertificate({ paths: state.paths, now })
  await reloadService(state.paths)
  return await showCertificates(options, { now })
}

/** As the site was set up; one that was only served so far has a CA of its own, unless it was served without TLS. */
async function tlsOfSite(options: SiteOptions): Promise<SiteConfig['tls']> {
  const { saved } = await findSite(options)
  return saved === undefined ? { by: 'site-ca' } : saved.tls
}

/** With the names of the present certificate; running servers notice themselves when they change. */
async function renewOwnCertificate({ paths, now }: { paths: Paths; now: () => Date }): Promise<void> {
  const folder = paths.tls
  const [ca, present] = [await readSiteCa(folder), await presentedCertificate(paths)]
  if (ca === undefined || present === undefined)
    throw new AirgapError('FILE_NOT_FOUND', 'this site has no certificate yet', {
      item: folder,
      likely: 'its servers have not run with TLS',
      next: 'run `offline-deploy apply`: the servers make a certificate when they start',
    })
  await renewServerCertificate(ca, { folder, now, names: namesIn(present.certificate) })
}

/** The certificates as they are in the files; those that were not made yet are missing. */
export async function certificatesOf(
  { tls }: Pick<SiteConfig, 'tls'>,
  { paths, now }: { paths: Paths; now: Date },
): Promise<Omit<Certificates, 'site'>> {
  if (tls === null) return { tls: null, certificates: [] }
  if (tls.by === 'site-ca') {
    const ca = (await readSiteCa(paths.tls))?.certificate
    const server = (await presentedCertificate(paths))?.certificate
    return {
      tls: tls.by,
      certificates: [
        ...(ca === undefined ? [] : [viewOf(ca, { of: 'ca', now, advice: caAdvice })]),
        ...(server === undefined ? [] : [viewOf(server, { of: 'server', now, advice: ownAdvice })]),
      ],
    }
  }
  const { readCertificates } = await import('../site/given-certificate.ts')
  const [server] = await readCertificates(tls.certificate)
  const cas = tls.ca === undefined ? [] : await readCertificates(tls.ca)
  const advice = `replace ${tls.certificate} and ${tls.key}: running servers read them again`
  return {
    tls: tls.by,
    certificates: [
      ...cas.map(ca => viewOf(ca, { of: 'ca', now, advice: `pass another file with --tls-ca` })),
      viewOf(server!, { of: 'server', now, advice }),
    ],
  }
}

/** What preflight reports of them. */
export function certificateFindings({ certificates }: Pick<Certificates, 'certificates'>): MachineFinding[] {
  return certificates.flatMap(({ of, problem }) =>
    problem === null
      ? []
      : [
          {
            machine: thisHost,
            level: problem.level,
            what: `the certificate of the ${of === 'ca' ? 'CA of the site' : 'servers'} ${problem.what}`,
            next: problem.next,
          },
        ],
  )
}

const ownAdvice = 'run `offline-deploy apply`: the servers renew it when they start, and while they run'
const caAdvice =
  'delete tls/ca.pem in the state folder and run `offline-deploy apply`, which makes another CA and makes all machines trust it'

function viewOf(
  certificate: X509Certificate,
  { of, now, advice }: { of: CertificateView['of']; now: Date; advice: string },
): CertificateView {
  return {
    of,
    subject: certificate.subject.replaceAll('\n', ', '),
    names: namesIn(certificate),
    from: certificate.validFromDate.toISOString(),
    until: certificate.validToDate.toISOString(),
    fingerprint: certificate.fingerprint256,
    problem: problemOf(certificate, { now, advice }) ?? null,
  }
}

/** Host names and IP addresses; node:crypto writes `DNS:site.example, IP Address:10.0.0.1`. */
function namesIn({ subjectAltName }: X509Certificate): string[] {
  return (subjectAltName ?? '').split(', ').flatMap(name => name.replace(/^[^:]*:/, '') || [])
}

/** A certificate that is not valid yet tells that a clock is wrong: ours now, or the one with which it was made. */
function problemOf(
  { validFromDate: from, validToDate: until }: X509Certificate,
  { now, advice }: { now: Date; advice: string },
): CertificateProblem | undefined {
  const clock = `the clock of this host says ${now.toISOString()}`
  if (now < from)
    return {
      level: 'error',
      what: `is not valid before ${from.toISOString()}: ${clock}, which is wrong, or was wrong when the certificate was made`,
      next: `set the clock (\`timedatectl set-time\`, or \`date -s\`); if it is right, ${advice}`,
    }
  if (now > until)
    return {
      level: 'error',
      what: `expired at ${until.toISOString()}, unless the clock is wrong: ${clock}`,
      next: `check the clock with \`date\`; if it is right, ${advice}`,
    }
  if (until.getTime() - now.getTime() > warnMs) return undefined
  const days = Math.floor((until.getTime() - now.getTime()) / day)
  return { level: 'warning', what: `expires in ${days} days, at ${until.toISOString()}`, next: advice }
}

/** Reads the certificate that the servers present; undefined where none was made yet. Throws KEY_INVALID, PERMISSION. */
export async function presentedCertificate(paths: Paths): Promise<KeptCertificate | undefined> {
  const record = await readServiceRecord(paths.service)
  if (record === undefined) return await readServerCertificate(paths.tls)
  const place = { root: serviceFolder(record.name), names: ['tls'] }
  // before its first start, the one that it will copy
  return (await inGuardedFolder(place, readServerCertificate)) ?? (await readServerCertificate(paths.tls))
}
