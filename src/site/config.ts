import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'

const port = z.number().int().min(1).max(65_535)

/** How this site was set up: later commands need not be told again. No secrets. */
export const siteConfigSchema = z.strictObject({
  bundles: z.array(z.string()),
  address: z.string(),
  registryPort: port,
  httpPort: port,
  listen: z.string(),
  environment: z.string(),
  /** null: nothing is written on this machine itself */
  nodeRoot: z.string().nullable(),
})
export type SiteConfig = z.infer<typeof siteConfigSchema>

/** Undefined where nothing was set up yet. Throws JOURNAL_INVALID. */
export async function readSiteConfig(path: string): Promise<SiteConfig | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  }
  try {
    return siteConfigSchema.parse(JSON.parse(text))
  } catch (error) {
    throw new AirgapError('JOURNAL_INVALID', 'the configuration of the site cannot be read', {
      item: path,
      likely: 'it was edited, or written by a newer offline-deploy',
      next: 'delete it and give the options of apply again',
      cause: error,
    })
  }
}

export async function writeSiteConfig(path: string, config: SiteConfig): Promise<void> {
  await writeAtomically(path, canonicalJson(siteConfigSchema.parse(config), 2), 0o600)
}
