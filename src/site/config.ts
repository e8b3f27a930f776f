import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { readTextFile } from '../core/text-file.ts'

const port = z.number().int().min(1).max(65_535)

/** Which certificate the servers have: one of the site's own CA, or one from files of the operator. */
const tls = z.discriminatedUnion('by', [
  z.strictObject({ by: z.literal('site-ca') }),
  z.strictObject({
    by: z.literal('files'),
    /** paths: the certificate and the intermediate ones after it; its key; what machines have to trust, where they do not already */
    certificate: z.string(),
    key: z.string(),
    ca: z.string().optional(),
  }),
])
export type TlsConfig = z.infer<typeof tls>

/** How a site was set up, so that later commands need no options. Has no secrets. */
export const siteConfigSchema = z.strictObject({
  bundles: z.array(z.string()),
  address: z.string(),
  registryPort: port,
  httpPort: port,
  listen: z.string(),
  /** when the servers hash content; absent in the configuration of an older offline-deploy */
  verify: z.enum(['once', 'always']).default('once'),
  /** null: plain HTTP; so is a site that an older offline-deploy has set up */
  tls: tls.nullable().default(null),
  /** pulls need a user, too; absent in the configuration of an older offline-deploy */
  requireLogin: z.boolean().default(false),
  /** bytes of all that is pushed; absent: as much as the disk has */
  overlayQuota: z.number().int().positive().optional(),
  environment: z.string(),
  /** null: this host itself is not configured */
  nodeRoot: z.string().nullable(),
})
export type SiteConfig = z.infer<typeof siteConfigSchema>

/** Reads the configuration; undefined if the site is not set up yet. Throws JOURNAL_INVALID. */
export async function readSiteConfig(path: string): Promise<SiteConfig | undefined> {
  const text = await readTextFile(path)
  if (text === undefined) return undefined
  try {
    return siteConfigSchema.parse(JSON.parse(text))
  } catch (error) {
    throw new AirgapError('JOURNAL_INVALID', 'the configuration of the site is invalid', {
      item: path,
      likely: 'it was edited, or written by a newer offline-deploy',
      next: 'delete it, and pass the options of apply again',
      cause: error,
    })
  }
}

export async function writeSiteConfig(path: string, config: SiteConfig): Promise<void> {
  await writeAtomically(path, canonicalJson(siteConfigSchema.parse(config), 2), 0o600)
}
