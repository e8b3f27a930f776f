import { readFile } from 'node:fs/promises'
import { coerce, compare } from 'semver'
import { z } from 'zod'
import { openBundle } from '../../bundle/reader.ts'
import { writeAtomically } from '../../core/atomic-file.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import { AirgapError, errnoOf, fromSystemError } from '../../core/errors.ts'

const schema = z.strictObject({
  bundles: z.array(z.strictObject({ name: z.string(), version: z.string(), digest: z.string() })),
})
type Installed = z.infer<typeof schema>['bundles'][number]

/** After all steps are done. */
export async function rememberInstalled(paths: readonly string[], record: string): Promise<void> {
  const bundles = await Promise.all(paths.map(describe))
  await writeAtomically(record, `${canonicalJson({ bundles }, 2)}\n`, 0o600)
}

/** Throws INCOMPATIBLE for a bundle whose version is before the one that was installed under the same name. */
export async function refuseOlderBundles(paths: readonly string[], record: string): Promise<void> {
  await compareWithInstalled(paths, record, (path, version, before) => {
    if (!isOlder(version, before)) return
    throw new AirgapError(
      'INCOMPATIBLE',
      `the bundle is older than what is installed: ${version}, not ${before}`,
      {
        item: path,
        likely: 'the medium of last time',
        next: 'take the newer bundle; to go back on purpose, give --allow-older',
      },
    )
  })
}

/** Throws INCOMPATIBLE for a bundle whose version is after the one that was installed: what is there has to be saved first. */
export async function refuseNewerBundles(paths: readonly string[], record: string): Promise<void> {
  await compareWithInstalled(paths, record, (path, version, before) => {
    if (!isOlder(before, version)) return
    throw new AirgapError(
      'INCOMPATIBLE',
      `the bundle is newer than what is installed: ${version}, not ${before}`,
      {
        item: path,
        likely: 'this is an upgrade, or one that did not come to its end',
        next: `\`offline-deploy upgrade --bundle ${path}\` saves what is there, and brings it on in the right order`,
      },
    )
  })
}

async function compareWithInstalled(
  paths: readonly string[],
  record: string,
  compareVersions: (path: string, version: string, before: string) => void,
): Promise<void> {
  const installed = await readInstalled(record)
  if (installed.length === 0) return
  for (const path of paths) {
    const found = await describe(path).catch(error => {
      // a damaged one is for the first step to tell, which reads all of it
      if (error instanceof AirgapError) return undefined
      throw error
    })
    const before = installed.find(({ name }) => name === found?.name)
    if (found !== undefined && before !== undefined) compareVersions(path, found.version, before.version)
  }
}

function isOlder(version: string, than: string): boolean {
  const [a, b] = [coerce(version), coerce(than)]
  return a !== null && b !== null && compare(a, b) < 0
}

async function describe(path: string): Promise<Installed> {
  const bundle = await openBundle(path)
  try {
    return { name: bundle.info.name, version: bundle.info.version, digest: bundle.indexDigest }
  } finally {
    await bundle.close()
  }
}

async function readInstalled(path: string): Promise<Installed[]> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8'))).bundles
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    if (!(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw fromSystemError(error, path)
    throw new AirgapError('JOURNAL_INVALID', 'what is installed cannot be read', {
      item: path,
      likely: 'it was edited, or written by a newer offline-deploy',
      next: 'delete it: then nothing is known of what was installed before',
      cause: error,
    })
  }
}
