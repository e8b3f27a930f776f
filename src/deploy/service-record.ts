import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { AirgapError } from '../core/errors.ts'
import { readTextFile } from '../core/text-file.ts'
import { serviceFolder } from '../service/units.ts'
import { pathsOf, type SiteState } from '../site/state.ts'

const schema = z.object({
  /** of the units, without suffix */
  name: z.string().regex(/^[a-z][a-z0-9-]{0,30}$/),
  /** program and arguments that start the program of its units; absent: written by an older version */
  self: z.array(z.string()).min(1).optional(),
})

/** The systemd service that runs a site's servers. */
export type ServiceRecord = z.infer<typeof schema>

/** Returns the service of a site; undefined where none is installed. Throws JOURNAL_INVALID. */
export async function readServiceRecord(path: string): Promise<ServiceRecord | undefined> {
  const text = await readTextFile(path)
  if (text === undefined) return undefined
  try {
    return schema.parse(JSON.parse(text))
  } catch (error) {
    throw new AirgapError('JOURNAL_INVALID', 'the record of the systemd service is invalid', {
      item: path,
      likely: 'it was edited',
      next: 'remove it, then run `offline-deploy service install`',
      cause: error,
    })
  }
}

/**
 * Returns the paths that the servers of a site use: logs, verdicts, certificate, pushed content, socket. Those of a systemd service have their own
 * folder, and own it: they could put links, pipes and anything else there, so that root reads it with core/guarded-file.ts only. Throws
 * JOURNAL_INVALID.
 */
export async function serversPaths(paths: SiteState['paths']): Promise<SiteState['paths']> {
  const record = await readServiceRecord(paths.service)
  return record === undefined ? paths : pathsOf(serviceFolder(record.name))
}

export async function writeServiceRecord(path: string, record: ServiceRecord): Promise<void> {
  await writeAtomically(path, `${JSON.stringify(record)}\n`, 0o600)
}
