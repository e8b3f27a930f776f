import { z } from 'zod'
import { AirgapError } from '../core/errors.ts'

/**
 * A description of a machine of a site: printed there by `offline-deploy probe`, carried out by hand, read by `airgap lock
 * --site`, where it is untrusted. Unknown keys are ignored: a newer probe may contain more.
 */

const word = z.string().min(1).max(256)

const installedSchema = z.object({
  name: word.regex(/^[A-Za-z0-9][A-Za-z0-9+._-]*$/),
  /** rpm: `[epoch:]version-release` */
  version: word.regex(/^[A-Za-z0-9.+~^:_-]+$/),
  architecture: word.regex(/^[a-z0-9_]+$/),
})

export const probeSchema = z.object({
  probeVersion: z.literal(1),
  os: z.object({
    /** os-release(5): `ubuntu`, `rocky` */
    id: word.regex(/^[a-z0-9._-]+$/),
    /** `22.04`, `9.4`; absent on Debian testing */
    version: word.regex(/^[A-Za-z0-9._-]+$/).optional(),
    codename: word.optional(),
    /** ID_LIKE; absent in probes of version 0.1 */
    like: z.array(word).max(32).optional(),
    /** PLATFORM_ID: `platform:el9` */
    platform: word.optional(),
    name: word.optional(),
  }),
  kernel: z.object({
    /** uname -r; becomes part of package names */
    release: word.regex(/^[A-Za-z0-9][A-Za-z0-9.+~_-]*$/),
  }),
  /** in the notation of the package manager: `amd64`, `x86_64` */
  architecture: word.regex(/^[a-z0-9_]+$/),
  /** `vendor:device`, hex */
  pci: z.array(z.object({ id: word, class: word })).max(4096),
  secureBoot: z.enum(['on', 'off', 'none', 'unknown']),
  memory: z.number().int().nonnegative() /* bytes */,
  cpus: z.number().int().nonnegative(),
  disks: z
    .array(
      z.object({
        name: word,
        size: z.number().nonnegative() /* bytes */,
        model: z.string().max(256).optional(),
      }),
    )
    .max(1024),
  mounts: z
    .array(
      z.object({
        path: z.string().max(4096),
        size: z.number().nonnegative(),
        free: z.number().nonnegative(),
      }),
    )
    .max(4096),
  packages: z.array(installedSchema).max(100_000),
})
export type Probe = z.infer<typeof probeSchema>

/** Parses the output of `offline-deploy probe`. Throws MANIFEST_INVALID. */
export function parseProbe(text: string, item: string): Probe {
  const fail = (what: string, cause?: unknown) =>
    new AirgapError('MANIFEST_INVALID', what, {
      item,
      likely: 'it was truncated or edited, or a newer version wrote it',
      next: 'run on the machine: offline-deploy probe -o json > probe.json',
      cause,
    })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw fail('the file is not a probe: it is not valid JSON', error)
  }
  const parsed = probeSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw fail(`the file is not a probe: ${issue?.path.join('.') || 'top level'}: ${issue?.message}`)
}
