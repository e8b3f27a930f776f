import { defined } from './defined.ts'
import { AirgapError } from './errors.ts'

/** A platform (OCI image-spec, image-index.md). */
export interface Platform {
  os: string
  architecture: string
  /** version of the architecture: `v7` of arm, `v3` of amd64 */
  variant?: string
  /** `os.version`: the build of Windows */
  osVersion?: string
  /** `os.features` */
  osFeatures?: string[]
}

const word = /^[A-Za-z0-9_.-]+$/
/** containerd's form of an OS: `windows(10.0.20348.1+win32k)`. */
const osPattern = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$/

/**
 * Parses `linux/amd64`, `linux/arm64/v8` or `windows(10.0.20348)/amd64`, as containerd's `platforms.Parse` reads the forms with an
 * architecture; aliases such as `x86_64` get their usual name. Throws USAGE.
 */
export function parsePlatform(text: string): Platform {
  const [os = '', architecture = '', variant, ...rest] = text.split('/')
  const [, name, version, features] = osPattern.exec(os) ?? []
  if (
    name === undefined ||
    rest.length > 0 ||
    ![architecture, variant ?? 'x'].every(part => word.test(part)) ||
    !isEncoded(os)
  ) {
    throw new AirgapError('USAGE', 'the platform is invalid', {
      item: text,
      next: 'write it as os/architecture[/variant], for example linux/amd64',
    })
  }
  const osFeatures = (features ?? '').split('+').filter(Boolean).map(decodeURIComponent)
  const named = normalizeArchitecture(architecture, variant ?? '')
  return defined({
    os: normalizeOs(name),
    architecture: named.architecture,
    variant: writtenVariant(named, variant),
    osVersion: version ? decodeURIComponent(version) : undefined,
    osFeatures: osFeatures.length > 0 ? osFeatures : undefined,
  })
}

/**
 * An explicit variant stays, also where it is the usual one: `linux/arm64/v8`, `linux/amd64/v1`. Other architectures than these have no
 * usual one: a variant that normalization drops (`i386/v1`) would match nothing.
 */
function writtenVariant(
  { architecture, variant }: { architecture: string; variant: string },
  written: string | undefined,
): string | undefined {
  if (written === undefined)
    return architecture === 'arm' && variant === 'v7' ? undefined : variant || undefined
  if (variant !== '') return variant
  return architecture === 'arm64' ? 'v8' : architecture === 'amd64' ? written.toLowerCase() : undefined
}

function isEncoded(os: string): boolean {
  return !/%(?![0-9A-Fa-f]{2})/.test(os) && !/%[89A-Fa-f]/.test(os)
}

/** Returns the text that `parsePlatform` reads (containerd, `platforms.FormatAll`). */
export function formatPlatform(platform: Platform): string {
  const version = encodeOption(platform.osVersion ?? '')
  const features = [...new Set(platform.osFeatures)].sort().map(feature => `+${encodeOption(feature)}`)
  const options = `${version}${features.join('')}`
  const os = options === '' ? platform.os : `${platform.os}(${options})`
  return [os, platform.architecture, platform.variant].filter(Boolean).join('/')
}

function encodeOption(text: string): string {
  return text.replace(/[^A-Za-z0-9_.-]/g, char =>
    char.charCodeAt(0) < 128 ? `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}` : '_',
  )
}

/**
 * Reads the fields of a platform as an index entry and an image config have them: `os`, `architecture`, `variant`, `os.version`,
 * `os.features`. Go programs write null and empty text for what they do not know. Missing `os` and `architecture` are empty.
 */
export function readPlatform(value: unknown): Platform {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  const text = (key: string) => (typeof fields[key] === 'string' ? fields[key] : '')
  const features = Array.isArray(fields['os.features'])
    ? fields['os.features'].filter(each => typeof each === 'string' && each !== '')
    : []
  return defined({
    os: text('os'),
    architecture: text('architecture'),
    variant: text('variant') || undefined,
    osVersion: text('os.version') || undefined,
    osFeatures: features.length > 0 ? features : undefined,
  })
}

/** Returns whether the publisher wrote both parts; else the config of the image has them. */
export function isCompletePlatform(platform: Platform | undefined): platform is Platform {
  return platform !== undefined && platform.os !== '' && platform.architecture !== ''
}

/** Returns whether the publisher wrote that this is not for any platform: BuildKit's attestations. */
export function isUnknownPlatform({ os, architecture }: Platform): boolean {
  return os.toLowerCase() === 'unknown' || architecture.toLowerCase() === 'unknown'
}

/**
 * Returns the indexes of the candidates that a node of platform `wanted` prefers, in their order: all that are equally good for it
 * (containerd, `platforms.Only`). A node falls back to older variants, and from amd64 to 386 and from arm64 to arm.
 */
export function preferredPlatforms(
  wanted: Platform,
  candidates: readonly (Platform | undefined)[],
): number[] {
  const matchers = platformVector(normalizePlatform(wanted)).map(normalizePlatform)
  for (const matcher of matchers) {
    const matching = candidates.flatMap((candidate, i) =>
      candidate !== undefined && matches(matcher, candidate) ? [i] : [],
    )
    if (matching.length === 0) continue
    const featuresOf = (i: number) => candidates[i]?.osFeatures?.length ?? 0
    const most = Math.max(...matching.map(featuresOf))
    return matching.filter(i => featuresOf(i) === most)
  }
  return []
}

/** containerd, `platforms.Normalize`; the nodes of a site run Linux, which is what an empty OS means to them. */
function normalizePlatform(platform: Platform): Platform {
  const { variant, ...rest } = platform
  const named = normalizeArchitecture(platform.architecture, variant ?? '')
  return defined({
    ...rest,
    os: normalizeOs(platform.os),
    architecture: named.architecture,
    variant: named.variant || undefined,
  })
}

function normalizeOs(os: string): string {
  const lower = os.toLowerCase()
  if (lower === '') return 'linux'
  return lower === 'macos' ? 'darwin' : lower
}

/** containerd, platforms/database.go, `normalizeArch`. */
function normalizeArchitecture(
  name: string,
  variantName: string,
): Required<Pick<Platform, 'architecture' | 'variant'>> {
  const architecture = name.toLowerCase()
  const variant = variantName.toLowerCase()
  switch (architecture) {
    case 'i386':
      return { architecture: '386', variant: '' }
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return { architecture: 'amd64', variant: variant === 'v1' ? '' : variant }
    case 'aarch64':
    case 'arm64':
      if (['8', 'v8', 'v8.0'].includes(variant)) return { architecture: 'arm64', variant: '' }
      return { architecture: 'arm64', variant: ['9', '9.0', 'v9.0'].includes(variant) ? 'v9' : variant }
    case 'armhf':
      return { architecture: 'arm', variant: 'v7' }
    case 'armel':
      return { architecture: 'arm', variant: 'v6' }
    case 'arm':
      if (variant === '' || variant === '7') return { architecture: 'arm', variant: 'v7' }
      return { architecture: 'arm', variant: ['5', '6', '8'].includes(variant) ? `v${variant}` : variant }
    default:
      return { architecture, variant }
  }
}

/** What a node can run, the best first (containerd, platforms/compare.go, `platformVector`). */
function platformVector(platform: Platform): Platform[] {
  const { variant: _, ...common } = platform
  const version = /^v?(\d+)$/.exec(platform.variant ?? '')?.[1]
  const down = (from: number, to: number) =>
    Array.from({ length: Math.max(0, from - to + 1) }, (_, i) => ({ ...common, variant: `v${from - i}` }))
  switch (platform.architecture) {
    case 'amd64':
      return [
        platform,
        ...(version === undefined ? [] : down(Math.min(Number(version), 100) - 1, 1)),
        { ...common, architecture: '386' },
      ]
    case 'arm':
      return [platform, ...(version === undefined ? [] : down(Math.min(Number(version), 100) - 1, 5))]
    case 'arm64': {
      const versions = arm64Versions(platform.variant ?? 'v8').map(variant => ({ ...common, variant }))
      if (versions.length === 0) return []
      return [...versions, ...platformVector({ ...common, architecture: 'arm', variant: 'v8' })]
    }
    default:
      return [platform]
  }
}

/** Armv9.x includes Armv8.(x+5), up to v8.9. An unknown version runs nothing that we know. */
function arm64Versions(variant: string): string[] {
  const [, major, minor = '0'] = /^v([89])(?:\.(\d))?$/.exec(variant) ?? []
  const down = (number: number, from: number) =>
    Array.from({ length: from + 1 }, (_, i) => (i === from ? `v${number}` : `v${number}.${from - i}`))
  if (major === '8') return down(8, Number(minor))
  if (major === '9' && Number(minor) <= 7)
    return [...down(9, Number(minor)), ...down(8, Math.min(9, Number(minor) + 5))]
  return []
}

/** containerd, `matcher.Match`. `matcher` is normalized. */
function matches(matcher: Platform, candidate: Platform): boolean {
  const found = normalizePlatform(candidate)
  if (found.os !== matcher.os || found.architecture !== matcher.architecture) return false
  if (found.variant !== matcher.variant) return false
  const isWindows = matcher.os === 'windows'
  if (isWindows && !windowsRuns(matcher.osVersion, candidate.osVersion)) return false
  // `win32k` says that the image has a graphical interface; every Windows node runs it
  const features = (candidate.osFeatures ?? []).filter(feature => !isWindows || feature !== 'win32k')
  return features.every(feature => matcher.osFeatures?.includes(feature))
}

/** Windows Server 2022 and 2025, whose nodes run images of the release before (stable ABI). */
const windowsReleases = [20_348, 26_100]

/** containerd, platforms/platform_windows_compat.go, `checkWindowsHostAndContainerCompat`. */
function windowsRuns(nodeVersion: string | undefined, imageVersion: string | undefined): boolean {
  const node = windowsVersion(nodeVersion)
  if (node === undefined || !imageVersion) return true
  const image = windowsVersion(imageVersion) ?? { release: '0.0', build: 0 }
  if (node.release !== image.release) return false
  if (node.build < windowsReleases[0]!) return node.build === image.build
  const oldest = windowsReleases.findLast(release => release < node.build) ?? windowsReleases[0]!
  return oldest <= image.build && image.build <= node.build
}

function windowsVersion(text: string | undefined): { release: string; build: number } | undefined {
  const [, release, build] = /^(\d{1,3}\.\d{1,3})\.(\d{1,5})(?:\.|$)/.exec(text ?? '') ?? []
  return release === undefined ? undefined : { release, build: Number(build) }
}
