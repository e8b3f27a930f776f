import { dirname, resolve } from 'node:path'
import { compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { parsePlatform } from '../core/platform.ts'
import { formatReference } from '../core/reference.ts'
import { createMistakes, type Mistakes } from '../document/mistakes.ts'
import type { Positioned } from '../document/positioned.ts'
import { readDocument } from '../document/read-text.ts'
import type { Excuse, LoadContext } from '../kinds/entry.ts'
import { referenceAt } from '../kinds/image/names.ts'
import { kinds, type Requests } from '../kinds/index.ts'
import { parseManifestDocument } from './document.ts'
import { type ManifestDocument, manifestSchema, overlaySchema } from './schema.ts'
import { checkedSources } from './sources.ts'
import type { SourceRemap, StackManifest } from './stack.ts'
import { withVariants } from './variants.ts'

/**
 * Reads a stack manifest and all the lists it names. `overlays` are further YAML files with `sources:` only (a company's
 * mirrors, a test's registries): tried before the manifest's own, a later file before an earlier one. `variants` names the
 * variants to include. With `privateAddresses: 'kept'`, images named by a private address are not mistakes.
 * Throws MANIFEST_INVALID, REFERENCE_INVALID, FILE_NOT_FOUND, NAME_COLLISION; several mistakes together are MANIFEST_INVALID.
 */
export async function loadManifest(
  path: string,
  options: { overlays?: string[]; variants?: readonly string[]; privateAddresses?: 'refused' | 'kept' } = {},
): Promise<StackManifest> {
  const { overlays = [], variants = [], privateAddresses = 'refused' } = options
  const document = withVariants(
    parseManifestDocument(await readDocument(path), { file: path, schema: manifestSchema }),
    variants,
  )
  const { value } = document
  const folder = dirname(resolve(path))
  const mistakes = createMistakes()
  const platforms = value.platforms.map(parsePlatform)
  const sources = [...(await overlaySources(overlays, mistakes)), ...checkedSources(document, mistakes)]
  const excuses = value.excuses.map(
    ({ name, reason }, i): Excuse => ({ at: document.at(['excuses', i]), name, reason }),
  )
  const requests = await loadRequests(document, {
    folder,
    platforms,
    privateAddresses,
    mistakes,
    excuse: found => excuses.push(found),
  })
  const manifest: StackManifest = {
    ...requests,
    file: resolve(path),
    folder,
    name: value.name,
    version: value.version,
    platforms,
    sources,
    deployments: value.deployments.map(({ helmfile, environments, values }, i) => ({
      at: document.at(['deployments', i]),
      helmfile: resolve(folder, helmfile),
      environments,
      values: values.map(file => resolve(folder, file)),
    })),
    excuses: excuses.map(excuse => spelledOut(excuse, mistakes)),
    variants: Object.entries(value.variants)
      .map(([name, { description }]) => ({ name, description, taken: variants.includes(name) }))
      .sort((a, b) => compareText(a.name, b.name)),
    versions: value.versions,
    ...defined({
      compatibility: value.compatibility === undefined ? undefined : resolve(folder, value.compatibility),
    }),
    collisions: value.collisions,
    firstUse: value.firstUse,
  }
  mistakes.throwIfAny()
  return manifest
}

async function overlaySources(files: readonly string[], mistakes: Mistakes): Promise<SourceRemap[]> {
  const layers = await Promise.all(
    files.map(async file => parseManifestDocument(await readDocument(file), { file, schema: overlaySchema })),
  )
  return layers.reverse().flatMap(layer => checkedSources(layer, mistakes))
}

/** The entries of each kind, loaded by the kind, one kind after the other: mistakes come in the order of the list. */
async function loadRequests(
  document: Positioned<ManifestDocument>,
  options: Omit<LoadContext, 'at'>,
): Promise<Requests> {
  const requests: Record<string, unknown> = {}
  for (const { entry } of kinds) {
    const { key } = entry
    requests[key] = await entry.load(document.value[key], {
      ...options,
      at: (index, ...path) => document.at([key, index, ...path]),
    })
  }
  return requests as Requests
}

/** Images by their full names, as they are listed and found. */
function spelledOut(excuse: Excuse, mistakes: Mistakes): Excuse {
  if (/^https?:\/\//.test(excuse.name)) return excuse
  const reference = mistakes.attempt(() => referenceAt({ text: excuse.name, at: excuse.at }))
  return reference === undefined ? excuse : { ...excuse, name: formatReference(reference) }
}
