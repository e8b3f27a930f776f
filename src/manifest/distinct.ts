import { canonicalJson } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { formatReference, type Reference } from '../core/reference.ts'
import type { Mistakes } from './mistakes.ts'

/** The same thing asked for twice is one; the same name with other wishes is a mistake that names both places. */
export function distinctRequests<T extends { at: string }>(
  requests: T[],
  options: { nameOf: (request: T) => string; mistakes: Mistakes },
): T[] {
  const found = new Map<string, T>()
  const wishes = ({ at, ...rest }: T) => canonicalJson(rest)
  for (const request of requests) {
    const name = options.nameOf(request)
    const before = found.get(name)
    if (before === undefined) found.set(name, request)
    else if (wishes(before) !== wishes(request)) {
      options.mistakes.add(
        new AirgapError('NAME_COLLISION', `asked for twice, in different ways: ${name}`, {
          item: `${before.at} and ${request.at}`,
          next: 'keep one of them',
        }),
      )
    }
  }
  return [...found.values()]
}

/** A path cannot be a file and the folder of another file. */
export function refuseFileInFolder(files: { at: string; path: string }[], mistakes: Mistakes): void {
  const places = new Map(files.map(file => [file.path, file.at]))
  for (const { at, path } of files) {
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const above = parts.slice(0, depth).join('/')
      const place = places.get(above)
      if (place === undefined) continue
      mistakes.add(
        new AirgapError('NAME_COLLISION', `${above} would be both a file and a folder`, {
          item: `${place} and ${at}`,
          next: 'give one of them another path',
        }),
      )
    }
  }
}

/** One tag cannot stand for two digests: on the site it is answered with one of them. */
export function refuseTwoDigests(images: { at: string; reference: Reference }[], mistakes: Mistakes): void {
  const pinned = new Map<string, { at: string; digest: string }>()
  for (const { at, reference } of images) {
    const { digest, ...tagged } = reference
    if (digest === undefined || tagged.tag === undefined) continue
    const name = formatReference(tagged)
    const before = pinned.get(name)
    if (before === undefined) pinned.set(name, { at, digest })
    else if (before.digest !== digest) {
      mistakes.add(
        new AirgapError('NAME_COLLISION', `two digests for one tag: ${name}`, {
          item: `${before.at} and ${at}`,
          next: 'keep one of them, or leave the tag out of one',
        }),
      )
    }
  }
}
