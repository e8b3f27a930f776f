import { canonicalJson } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import type { Mistakes } from './mistakes.ts'

/** Merges requests that are equal but for their place; two different ones under the same name are a mistake that names both places. */
export function distinctRequests<T extends { at: string }>(
  requests: T[],
  options: { nameOf: (request: T) => string; mistakes: Mistakes },
): T[] {
  const found = new Map<string, T>()
  const contentOf = ({ at, ...rest }: T) => canonicalJson(rest)
  for (const request of requests) {
    const name = options.nameOf(request)
    const before = found.get(name)
    if (before === undefined) found.set(name, request)
    else if (contentOf(before) !== contentOf(request)) {
      options.mistakes.add(
        new AirgapError('NAME_COLLISION', `${name} is requested twice with different settings`, {
          item: `${before.at} and ${request.at}`,
          next: 'keep one of them',
        }),
      )
    }
  }
  return [...found.values()]
}
