import { AirgapError } from './errors.ts'

/** A platform (OCI image-spec, image-index.md); `variant` only where it narrows the architecture. */
export interface Platform {
  os: string
  architecture: string
  variant?: string
}

/** Parses `linux/amd64` or `linux/arm64/v8`. Throws USAGE. */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant, ...rest] = text.split('/')
  const word = /^[a-z0-9_.-]+$/i
  if (
    !os ||
    !architecture ||
    rest.length > 0 ||
    ![os, architecture, variant ?? 'x'].every(part => word.test(part))
  ) {
    throw new AirgapError('USAGE', 'the platform is invalid', {
      item: text,
      next: 'write it as os/architecture[/variant], for example linux/amd64',
    })
  }
  return variant ? { os, architecture, variant } : { os, architecture }
}

export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/')
}

/** Adds the variant that a runtime assumes where none is given (containerd, platforms.Normalize). */
function normalized(platform: Platform): Platform {
  if (platform.architecture === 'arm64' && platform.variant === undefined)
    return { ...platform, variant: 'v8' }
  if (platform.architecture === 'arm' && platform.variant === undefined) return { ...platform, variant: 'v7' }
  if (platform.architecture === 'amd64' && platform.variant === undefined)
    return { ...platform, variant: 'v1' }
  return platform
}

/** Returns whether a node of platform `wanted` selects an image for `candidate`. */
export function matchesPlatform(wanted: Platform, candidate: Platform): boolean {
  const a = normalized(wanted)
  const b = normalized(candidate)
  return a.os === b.os && a.architecture === b.architecture && a.variant === b.variant
}
