import { existsSync } from 'node:fs'
import { type AuditRecord, appendAudit, readAudit } from '../access/audit.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { pathsOf } from '../site/state.ts'
import { operatorName } from './operator.ts'
import { serversPaths } from './service-record.ts'
import { findSite } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

/** A command that changes a site. */
export interface AuditedCommand {
  /** its name */
  what: string
  /** what it is about: bundles, machines, applications */
  subject?: string
  options: SiteOptions
  environment: Readonly<Record<string, string | undefined>>
  now: () => Date
}

/** Runs a command, and notes in the audit log of the site that it was run, by whom, and how it ended. Throws what it throws. */
export async function audited<T>(command: AuditedCommand, run: () => Promise<T>): Promise<T> {
  try {
    const result = await run()
    await note(command, { result: 'ok' })
    return result
  } catch (error) {
    // not confirmed, or a mistyped option: nothing was done
    if (!isErrorCode(error, 'USAGE'))
      await note(command, {
        result: 'failed',
        status: error instanceof AirgapError ? error.code : 'INTERNAL',
      })
    throw error
  }
}

/** Returns the last events of a site, the oldest first. */
export async function readSiteAudit(
  options: SiteOptions,
  { last }: { last: number },
): Promise<{ files: string[]; events: AuditRecord[]; unreadable: number }> {
  const { siteFolder } = await findSite(options)
  const paths = pathsOf(siteFolder)
  // commands write one of them, and servers of a service the other
  const files = [...new Set([paths.audit, (await serversPaths(paths)).audit])]
  const logs = await Promise.all(files.map(file => readAudit(file, { last })))
  const events = logs.flatMap(log => log.events).sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
  return {
    files,
    events: events.slice(-last),
    unreadable: logs.reduce((sum, log) => sum + log.unreadable, 0),
  }
}

/** A log that cannot be written must not hide how the command ended. */
async function note(
  { what, subject, options, environment, now }: AuditedCommand,
  how: { result: 'ok' | 'failed'; status?: string },
): Promise<void> {
  try {
    const { siteFolder } = await findSite(options)
    if (!existsSync(siteFolder)) return
    await appendAudit(
      pathsOf(siteFolder).audit,
      { what, user: operatorName(environment), subject, ...how },
      now,
    )
  } catch {
    // the servers report the same fault in their log
  }
}
