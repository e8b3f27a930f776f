import type { RpmCandidate } from './candidate.ts'
import { nevraOf, packagesNamed } from './request.ts'
import type { Universe } from './universe.ts'

/** Packages for a running kernel (`uname -r`), by the names that the RHEL family gives them (kernel.spec). */

/** Returns the kernels that run on an architecture: `5.14.0-427.el9.x86_64+rt` ends with it, before its variant. */
export function kernelsOf(
  kernels: readonly string[],
  { architecture, architectures }: { architecture: string; architectures: readonly string[] },
): string[] {
  const runs = (kernel: string, on: string) => splitVariant(kernel).base.endsWith(`.${on}`)
  return kernels.filter(
    kernel => runs(kernel, architecture) || !architectures.some(other => runs(kernel, other)),
  )
}

export function kernelFinder(universe: Universe): {
  find: (pattern: string, kernel: string) => string[]
  available: (kernel: string) => string[]
} {
  return {
    find(pattern, kernel) {
      for (const spec of specsOf(pattern, kernel)) {
        const ids = packagesNamed(universe, spec).flat()
        if (ids.some(id => fits(universe.candidate(id), kernel))) return [spec]
      }
      return []
    },
    available(kernel) {
      const { base } = splitVariant(kernel)
      return [...universe.names()]
        .filter(name => /^kernel-.*devel$/.test(name))
        .flatMap(name => [...universe.named(name)])
        .map(universe.candidate)
        .filter(one => base === `${one.version}-${one.release}.${one.architecture}`)
        .map(nevraOf)
    },
  }
}

/** `5.14.0-427.el9.x86_64+rt-debug` → its version, and `rt-debug` */
function splitVariant(kernel: string): { base: string; variant?: string } {
  const [, base = kernel, variant] = /^(.+)\+([a-z0-9][a-z0-9-]*)$/.exec(kernel) ?? []
  return variant === undefined ? { base } : { base, variant }
}

/**
 * What a pattern may mean for a kernel. The packages of a variant have its name instead of its suffix: `+rt` runs from kernel-rt,
 * and `kernel-devel-{kernel}` means `kernel-rt-devel-…` for it.
 */
function specsOf(pattern: string, kernel: string): string[] {
  const literal = pattern.replaceAll('{kernel}', kernel)
  const { base, variant } = splitVariant(kernel)
  if (variant === undefined) return [literal]
  const own = pattern.includes(`-${variant}-`)
    ? pattern
    : pattern.replace(/^(kernel(?:-uek)?)-/, `$1-${variant}-`)
  return own === pattern && !pattern.includes(`-${variant}-`)
    ? [literal]
    : [literal, own.replaceAll('{kernel}', base)]
}

/** Packages of kernels state theirs: `Provides: kernel-devel-uname-r = 5.14.0-427.el9.x86_64+rt`. Where they do not, the name counts. */
function fits({ provides }: RpmCandidate, kernel: string): boolean {
  const stated = provides.filter(({ name, flags }) => flags === 'EQ' && /^kernel-(?:.*-)?uname-r$/.test(name))
  return (
    stated.length === 0 ||
    stated.some(
      ({ version, release }) => `${version}${release === undefined ? '' : `-${release}`}` === kernel,
    )
  )
}
