import { AirgapError } from '../core/errors.ts'
import type { Positioned } from '../document/positioned.ts'
import { kinds } from '../kinds/index.ts'
import type { ManifestDocument } from './schema.ts'

type Path = readonly PropertyKey[]

/**
 * Returns the manifest with the entries of the chosen variants after its own; `at` still locates each entry in the file.
 * Throws USAGE for an unknown variant.
 */
export function withVariants(
  document: Positioned<ManifestDocument>,
  chosen: readonly string[],
): Positioned<ManifestDocument> {
  const { value } = document
  for (const name of chosen) if (!Object.hasOwn(value.variants, name)) throw unknownVariant(name, document)
  chosen = [...new Set(chosen)]
  const written = new Map<PropertyKey, Path[]>()
  const merged: Record<string, unknown> = { ...value }
  for (const key of ['platforms', ...kinds.map(({ entry }) => entry.key), 'excuses'] as const) {
    const added = chosen.flatMap(name =>
      value.variants[name]![key].map((entry, i) => ({ entry, path: ['variants', name, key, i] as Path })),
    )
    merged[key] = [...value[key], ...added.map(({ entry }) => entry)]
    written.set(key, [...value[key].map((_, i): Path => [key, i]), ...added.map(({ path }) => path)])
  }
  merged['platforms'] = [...new Set(merged['platforms'] as string[])]
  return {
    value: merged as ManifestDocument,
    at([key, index, ...rest], part) {
      const entry = key === undefined ? undefined : written.get(key)?.[index as number]
      return document.at(
        entry === undefined ? [key!, ...(index === undefined ? [] : [index, ...rest])] : [...entry, ...rest],
        part,
      )
    },
  }
}

function unknownVariant(name: string, { value, at }: Positioned<ManifestDocument>): AirgapError {
  const known = Object.entries(value.variants).map(([key, { description }]) => `${key} (${description})`)
  return new AirgapError('USAGE', 'the manifest has no such variant', {
    item: name,
    likely: 'the name is misspelled, or the manifest no longer has a variant that the lock was made with',
    next:
      known.length > 0
        ? `choose one of ${known.join(', ')}; \`--with none\` selects none`
        : `${at([])} defines no variants: remove --with, or pass \`--with none\` to drop those of the lock`,
  })
}
