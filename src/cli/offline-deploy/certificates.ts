import type { Command } from 'commander'
import {
  type Certificates,
  type CertificateView,
  renewCertificates,
  showCertificates,
} from '../../deploy/certificates.ts'
import { addExamples } from '../shell/examples.ts'
import { localTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { siteOption } from './options.ts'

/** The certificates of the site's servers. */
export function certificatesCommand(program: Command, shell: Shell): void {
  const certificates = addExamples(program.command('certificates'), [
    ['offline-deploy certificates show --site /opt/site'],
    ['offline-deploy certificates renew', 'running servers use the new certificate within ten seconds'],
  ]).description('Show and renew the certificates of the site’s servers')
  const now = () => new Date()
  addExamples(certificates.command('show').addOption(siteOption()), [
    ['offline-deploy certificates show -o json'],
  ])
    .description('Show the CA of the site and the certificate of its servers')
    .action(async (_: unknown, command: Command) => {
      const shown = await showCertificates(command.optsWithGlobals(), { now })
      shell.print(shown, () => certificateLines(shown))
    })
  addExamples(certificates.command('renew').addOption(siteOption()), [
    ['offline-deploy certificates renew --site /opt/site'],
  ])
    .description('Make another certificate of the site’s CA for its servers')
    .action(async (_: unknown, command: Command) => {
      const renewed = await renewCertificates(command.optsWithGlobals(), { now })
      shell.print(renewed, () => certificateLines(renewed))
    })
}

/** One certificate after the other; for `status`, too. */
export function certificateLines({ tls, certificates }: Omit<Certificates, 'site'>): string[] {
  if (tls === null) return ['TLS      off: anybody in the network can read and change what is sent']
  if (certificates.length === 0) return ['TLS      on; the servers make their certificates when they start']
  return certificates.flatMap(linesOf)
}

function linesOf({ of, subject, names, until, fingerprint, problem }: CertificateView): string[] {
  const about = of === 'ca' ? `CA       ${subject}` : `server   ${names.join(', ')}`
  return [
    `${about}; valid until ${localTime(until)}`,
    `  SHA-256 ${fingerprint}`,
    ...(problem === null ? [] : [`  ${problem.level}: it ${problem.what}`, `  next: ${problem.next}`]),
  ]
}
