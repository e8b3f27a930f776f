import { type Command, InvalidArgumentError } from 'commander'
import type { AuditRecord } from '../../access/audit.ts'
import { oneLine } from '../../core/printable.ts'
import { readSiteAudit } from '../../deploy/audited.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { addExamples } from '../shell/examples.ts'
import { localTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { siteOption } from './options.ts'

/** What users and commands have done. */
export function auditCommand(program: Command, shell: Shell): void {
  addExamples(program.command('audit').addOption(siteOption()), [
    ['offline-deploy audit --site /opt/site'],
    ['offline-deploy audit --last 1000 -o json'],
  ])
    .description('Show logins, pushes, deletions, changes of users and installs of this site')
    .option('--last <number>', 'how many events to show', count, 50)
    .action(async ({ last, ...options }: SiteOptions & { last: number }) => {
      const { files, events, unreadable } = await readSiteAudit(options, { last })
      shell.print({ files, events, unreadable }, () => [
        ...(events.length === 0 ? ['no events yet'] : events.map(eventLine)),
        ...(unreadable > 0 ? [`${unreadable} damaged lines in ${files.join(' and ')}`] : []),
      ])
    })
}

function eventLine({ at, what, result, user, address, count: times, ...rest }: AuditRecord): string {
  const { repository, reference, digest, subject, status } = rest
  const thing = [repository, reference].filter(Boolean).join(' ')
  const details = [
    thing,
    digest === reference ? '' : digest,
    subject,
    status === undefined ? '' : `(${status})`,
  ]
  const number = times === undefined || times === 1 ? '' : `${times} times`
  const by = address === undefined ? user : `${user} ${address}`
  return [localTime(at), what.padEnd(14), result.padEnd(8), by.padEnd(28), ...details, number]
    .filter(Boolean)
    .map(field => oneLine(String(field)))
    .join('  ')
}

function count(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('must be a number from 1 to 999999')
}
