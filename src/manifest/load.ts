import { dirname, resolve } from 'node:path'
import { compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { parsePlatform } from '../core/platform.ts'
import { formatReference } from '../core/reference.ts'
import { SecretQueries } from '../core/secret-queries.ts'
import { createMistakes, type Mistakes } from '../document/mistakes.ts'
import type { Positioned } from '../document/positioned.ts'
import { readDocument } from '../document/read-text.ts'
import type { Excuse, LoadContext } from '../kinds/entry.ts'
import { referenceAt } from '../kinds/image/names.ts'
import { kinds, type Requests } from '../kinds/index.ts'
import { parseManifestDocument } from './document.ts'
import { loadGuides } from './guides.ts'
import { type ManifestDocument, manifestSchema, overlaySchema } from './schema.ts'
import { withSignatures } from './signatures.ts'
import { checkedSources } from './sources.ts'
import type { SourceRemap, StackManifest } from './stack.ts'
import { withVariants } from './variants.ts'

/**
 * Reads a stack manifest and all lists it refers to. `overlays` are further YAML files with `sources:` only (a company's
 * mirrors, a test's registries), which take precedence over those of the manifest; a later file wins. `variants` names the
 * variants to include. With `privateAddresses: 'kept'`, images with a private address are not mistakes.
 * Throws MANIFEST_INVALID, REFERENCE_INVALID, FILE_NOT_FOUND, NAME_COLLISION; several mistakes together are MANIFEST_INVALID.
 */
export async function loadManifest(
  path: string,
  options: { overlays?: string[]; variants?: readonly string[]; privateAddresses?: 'refused' | 'kept' } = {},
): Promise<StackManifest> {
  const { overlays = [], variants = [], privateAddresses = 'refused' } = options
  const written = withVariants(
    parseManifestDocument(await readDocument(path), { file: path, schema: manifestSchema }),
    variants,
  )
  const folder = dirname(resolve(path))
  const mistakes = createMistakes()
  const secretQueries = new SecretQueries()
  const withoutSecrets = <T>(part: T, at: string): T =>
    mistakes.attempt(() => secretQueries.takeFromAll(part, at)) ?? part
  const entries = kinds.map(({ entry: { key } }) => [
    key,
    written.value[key].map((entry, i) => withoutSecrets(entry, written.at([key, i]))),
  ])
  const document: Positioned<ManifestDocument> = {
    value: {
      ...written.value,
      ...Object.fromEntries(entries),
      sources: withoutSecrets(written.value.sources, written.at(['sources'])),
      excuses: withoutSecrets(written.value.excuses, written.at(['excuses'])),
    },
    at: written.at,
  }
  const { value } = document
  const platforms = value.platforms.map(parsePlatform)
  const sources = [
    ...withoutSecrets(await overlaySources(overlays, mistakes), overlays.join(', ')),
    ...checkedSources(document, mistakes),
  ]
  const excuses = value.excuses.map(
    ({ name, reason }, i): Excuse => ({ at: document.at(['excuses', i]), name, reason }),
  )
  const requests = await loadRequests(document, {
    folder,
    platforms,
    privateAddresses,
    mistakes,
    secretQueries,
    excuse: found => excuses.push(found),
  })
  const allVariants = Object.keys(value.variants).every(name => variants.includes(name))
  const { images, charts } = await withSignatures(requests, { document, folder, mistakes, allVariants })
  const manifest: StackManifest = {
    // the lists that entries name may have some, too
    ...withoutSecrets(requests, resolve(path)),
    images,
    charts,
    secretQueries,
    file: resolve(path),
    folder,
    name: value.name,
    version: value.version,
    platforms,
    sources,
    deployments: value.deployments.map(({ helmfile, environments, values, apiVersions }, i) => ({
      at: document.at(['deployments', i]),
      helmfile: resolve(folder, helmfile),
      environments,
      values: values.map(file => resolve(folder, file)),
      apiVersions,
    })),
    excuses: excuses.map(excuse => withFullName(excuse, mistakes)),
    variants: Object.entries(value.variants)
      .map(([name, { description }]) => ({ name, description, included: variants.includes(name) }))
      .sort((a, b) => compareText(a.name, b.name)),
    versions: value.versions,
    ...defined({
      compatibility: value.compatibility === undefined ? undefined : resolve(folder, value.compatibility),
    }),
    guides: loadGuides(document, { folder, mistakes }),
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

/** Loads the entries of each kind, one kind after the other, so that mistakes are in the order of the list of kinds. */
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

/** Expands the name of an image to the full reference, as in the lists and the findings. */
function withFullName(excuse: Excuse, mistakes: Mistakes): Excuse {
  if (/^https?:\/\//.test(excuse.name)) return excuse
  const reference = mistakes.attempt(() => referenceAt({ text: excuse.name, at: excuse.at }))
  return reference === undefined ? excuse : { ...excuse, name: formatReference(reference) }
}
