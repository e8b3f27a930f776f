import { mkdir, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { parseSiteFile } from '../inventory/site-file.ts'
import { type SiteAnswers, starterSite } from '../inventory/starter.ts'
import { pathsOf } from '../site/state.ts'

/** The answers of an interview that was interrupted, in the state folder. Passwords are never asked for. */
export function siteDraft(siteFolder: string) {
  const path = `${pathsOf(siteFolder).siteFile}.draft.json`
  return {
    /** The answers of last time; undefined where there are none, or none that are valid. */
    async read(): Promise<SiteAnswers | undefined> {
      try {
        const answers: SiteAnswers = JSON.parse(await readFile(path, 'utf8'))
        parseSiteFile(starterSite(answers), path)
        return answers
      } catch {
        // an unreadable draft is no loss: the interview starts from the beginning
        return undefined
      }
    },
    async save(answers: SiteAnswers): Promise<void> {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await writeAtomically(path, JSON.stringify(answers), 0o600)
    },
    async remove(): Promise<void> {
      await rm(path, { force: true })
    },
  }
}
