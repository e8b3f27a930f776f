import { parseRequest } from './request.ts'
import type { Universe } from './universe.ts'

/** Packages for a running kernel, whose release (`uname -r`) is part of their names: `linux-headers-5.15.0-91-generic`. */
export function kernelFinder(
  universe: Universe,
  at: string,
): {
  find: (pattern: string, kernel: string) => string[]
  available: (kernel: string) => string[]
} {
  return {
    find(pattern, kernel) {
      const text = pattern.replaceAll('{kernel}', kernel)
      const { name, architecture } = parseRequest(text, at)
      const named = universe.named(name, architecture)
      return named.versions.length > 0 || universe.offers(named).length > 0 ? [text] : []
    },
    available: kernel =>
      [...universe.names()].filter(name => /^linux-(?:headers|modules)/.test(name) && name.includes(kernel)),
  }
}
