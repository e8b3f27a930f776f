import { resolve } from 'node:path'
import { z } from 'zod'
import { AirgapError } from '../../core/errors.ts'
import { type Platform, parsePlatform } from '../../core/platform.ts'
import { formatReference, type Reference } from '../../core/reference.ts'
import { distinctRequests } from '../../document/distinct.ts'
import { platformField, textField } from '../../document/fields.ts'
import type { Mistakes } from '../../document/mistakes.ts'
import { type ListLine, readList } from '../../document/read-text.ts'
import type { SignaturePolicy } from '../../oci-signatures/policy.ts'
import { type LoadContext, manifestEntry } from '../entry.ts'
import { fetchedFrom, publicReferenceAt, referenceAt } from './names.ts'

export interface ImageRequest {
  at: string
  /** the name it is deployed under */
  reference: Reference
  /** where it is fetched from; equal to `reference` unless remapped */
  from: Reference
  platforms: Platform[]
  referrers: boolean
  foreignLayers: 'refuse' | 'fetch'
  /** who must have signed it; absent where nobody must */
  signatures?: SignaturePolicy[]
}

const schema = z.union([
  textField,
  z.strictObject({
    list: textField,
    /** what starts these images where no release does: `kubespray`; excuses each from being unused */
    usedBy: textField.optional(),
  }),
  z.strictObject({
    /** the name it is deployed under */
    ref: textField,
    /** host/repository[:tag] it is fetched from, where that is another place */
    from: textField.optional(),
    platforms: z.array(platformField).min(1).optional(),
    /** also carry what refers to it: signatures, SBOMs */
    referrers: z.boolean().optional(),
    foreignLayers: z.enum(['refuse', 'fetch']).optional(),
  }),
])
type Entry = z.infer<typeof schema>

export const imageEntry = manifestEntry({
  key: 'images',
  schema,
  load,
  starter: `\
images:
  - registry.k8s.io/pause:3.9
  # - list: images.txt                        # one reference a line, # begins a comment
  #   usedBy: kubespray                       # what starts these images, where no release does
  # - ref: docker.io/bitnami/keycloak:22.0.5  # the name it is deployed under …
  #   from: docker.io/bitnamilegacy/keycloak  # … and where it is fetched from
  #   platforms: [linux/amd64, linux/arm64]
  #   referrers: true                         # signatures and SBOMs, too
  #   foreignLayers: fetch                    # or refuse, the default
`,
})

async function load(entries: readonly Entry[], context: LoadContext): Promise<ImageRequest[]> {
  const { mistakes } = context
  const requests: ImageRequest[] = []
  for (const [i, entry] of entries.entries()) {
    if (typeof entry === 'string') {
      const reference = mistakes.attempt(() => nameAt({ text: entry, at: context.at(i) }, context))
      if (reference !== undefined) requests.push(plainRequest(context.at(i), reference, context))
    } else if ('list' in entry) requests.push(...(await listed(entry, i, context)))
    else
      mistakes.attempt(() => {
        requests.push(described(entry, i, context))
      })
  }
  const images = distinctRequests(requests, {
    nameOf: request => formatReference(request.reference),
    mistakes,
  })
  refuseTwoDigests(images, mistakes)
  return images
}

function nameAt(line: ListLine, { privateAddresses }: LoadContext): Reference {
  return privateAddresses === 'kept' ? referenceAt(line) : publicReferenceAt(line)
}

function plainRequest(at: string, reference: Reference, context: LoadContext): ImageRequest {
  const platforms = [...context.platforms]
  return { at, reference, from: reference, platforms, referrers: false, foreignLayers: 'refuse' }
}

async function listed(
  { list, usedBy }: { list: string; usedBy?: string | undefined },
  index: number,
  context: LoadContext,
): Promise<ImageRequest[]> {
  const { folder, mistakes } = context
  const lines = await mistakes.attemptLater(() => readList(resolve(folder, list), context.at(index)))
  return (lines ?? []).flatMap(line => {
    if (usedBy !== undefined) context.excuse({ at: line.at, name: line.text, reason: `used by ${usedBy}` })
    const reference = mistakes.attempt(() => nameAt(line, context))
    return reference === undefined ? [] : [plainRequest(line.at, reference, context)]
  })
}

function described(
  entry: Extract<Entry, { ref: string }>,
  index: number,
  context: LoadContext,
): ImageRequest {
  const { ref, from, platforms, referrers = false, foreignLayers = 'refuse' } = entry
  const reference = nameAt({ text: ref, at: context.at(index, 'ref') }, context)
  return {
    at: context.at(index),
    reference,
    from:
      from === undefined ? reference : fetchedFrom(reference, { text: from, at: context.at(index, 'from') }),
    platforms: platforms?.map(parsePlatform) ?? [...context.platforms],
    referrers,
    foreignLayers,
  }
}

/** A tag cannot have two digests: the site answers it with one of them. */
function refuseTwoDigests(images: readonly ImageRequest[], mistakes: Mistakes): void {
  const pinned = new Map<string, { at: string; digest: string }>()
  for (const { at, reference } of images) {
    const { digest, ...tagged } = reference
    if (digest === undefined || tagged.tag === undefined) continue
    const name = formatReference(tagged)
    const before = pinned.get(name)
    if (before === undefined) pinned.set(name, { at, digest })
    else if (before.digest !== digest) {
      mistakes.add(
        new AirgapError('NAME_COLLISION', `the tag ${name} is requested with two digests`, {
          item: `${before.at} and ${at}`,
          next: 'keep one of them, or remove the tag from one',
        }),
      )
    }
  }
}
