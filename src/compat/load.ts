import { AirgapError } from '../core/errors.ts'
import { readDocument } from '../document/read-text.ts'
import { parseManifestDocument } from '../manifest/document.ts'
import type { Verdict } from './check.ts'
import { type Compatibility, compatibilitySchema } from './schema.ts'

/** Reads a file of rules; mistakes are told with their places. Throws MANIFEST_INVALID, FILE_NOT_FOUND. */
export async function loadCompatibility(path: string): Promise<Compatibility> {
  return parseManifestDocument(await readDocument(path), { file: path, schema: compatibilitySchema }).value
}

/** Throws INCOMPATIBLE with every rule that is broken. */
export function refuseBroken(verdicts: readonly Verdict[], item: string): void {
  const broken = verdicts.filter(verdict => verdict.result === 'broken')
  if (broken.length === 0) return
  throw new AirgapError('INCOMPATIBLE', `versions that do not go together:\n${broken.map(tell).join('\n')}`, {
    item,
    likely: 'one of them was changed and the other was not',
    next: 'run `airgap compat` for the whole table; change the version, or the rule if it is wrong',
  })
}

/** `  kubernetes v1.28.6 is not >=1.29.0: GPU Operator v25.3 and later need Kubernetes 1.29 (document, 8.2)` */
function tell({ rule, found }: Verdict): string {
  const versions = found.map(
    ({ component, version, range }) => `${component} ${version ?? 'unknown'} (${range})`,
  )
  return `  ${rule.id}: ${versions.join(', ')}: ${rule.why} [${rule.source}]`
}
