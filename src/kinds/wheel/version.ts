/** PEP 440: versions and their order. */
export interface PythonVersion {
  /** as it was written */
  text: string
  epoch: number
  release: bigint[]
  /** `a`, `b`, `rc` with its number */
  pre?: [string, bigint]
  post?: bigint
  dev?: bigint
  /** numbers and words after the `+` */
  local?: (bigint | string)[]
}

/** PEP 440, appendix B; every part ends where another begins, so that matching is linear. */
const pattern =
  /^\s*v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d+)?)?(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d+)?)?(?:[-_.]?(dev)[-_.]?(\d+)?)?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*$/i

const maxLength = 200

/** Parses a version; returns undefined for one that PEP 440 does not allow (old files have such names). */
export function parseVersion(text: string): PythonVersion | undefined {
  if (text.length > maxLength) return undefined
  const match = pattern.exec(text)
  if (match === null) return undefined
  const [, epoch, release, preName, preNumber, postDash, postName, postNumber, dev, devNumber, local] = match
  const version: PythonVersion = {
    text: text.trim(),
    epoch: Number(epoch ?? 0),
    release: release!.split('.').map(BigInt),
  }
  if (preName !== undefined) version.pre = [preNames[preName.toLowerCase()]!, BigInt(preNumber ?? 0)]
  if (postDash !== undefined) version.post = BigInt(postDash)
  else if (postName !== undefined) version.post = BigInt(postNumber ?? 0)
  if (dev !== undefined) version.dev = BigInt(devNumber ?? 0)
  if (local !== undefined) {
    version.local = local
      .toLowerCase()
      .split(/[-_.]/)
      .map(part => (/^\d+$/.test(part) ? BigInt(part) : part))
  }
  return version
}

const preNames: Record<string, string> = {
  a: 'a',
  alpha: 'a',
  b: 'b',
  beta: 'b',
  c: 'rc',
  rc: 'rc',
  pre: 'rc',
  preview: 'rc',
}

export function isPreRelease(version: PythonVersion): boolean {
  return version.pre !== undefined || version.dev !== undefined
}

/** Negative where `a` is older. The order of PEP 440, local versions included. */
export function compareVersions(a: PythonVersion, b: PythonVersion): number {
  if (a === b) return 0
  const order = a.epoch - b.epoch || compareReleases(a.release, b.release)
  if (order !== 0 || (isPlain(a) && isPlain(b))) return order
  return (
    compareTuples(preKey(a), preKey(b)) ||
    compareNumbers(a.post ?? -1n, b.post ?? -1n) ||
    // no dev is newer than any
    compareTuples(
      a.dev === undefined ? [1n, 0n] : [0n, a.dev],
      b.dev === undefined ? [1n, 0n] : [0n, b.dev],
    ) ||
    compareLocals(a.local, b.local)
  )
}

/** Nothing but epoch and release, as most versions. */
function isPlain({ pre, post, dev, local }: PythonVersion): boolean {
  return pre === undefined && post === undefined && dev === undefined && local === undefined
}

export function compareReleases(a: readonly bigint[], b: readonly bigint[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const order = compareNumbers(a[i] ?? 0n, b[i] ?? 0n)
    if (order !== 0) return order
  }
  return 0
}

/** A dev release without a, b or rc sorts before them; a final one after. */
function preKey({ pre, post, dev }: PythonVersion): [bigint, bigint] {
  if (pre !== undefined) return [BigInt(['a', 'b', 'rc'].indexOf(pre[0])), pre[1]]
  return post === undefined && dev !== undefined ? [-1n, 0n] : [3n, 0n]
}

/** Numbers are newer than words, more parts than fewer, none the oldest. */
function compareLocals(a: PythonVersion['local'], b: PythonVersion['local']): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [x, y] = [a[i], b[i]]
    if (x === undefined || y === undefined) return Number(x !== undefined) - Number(y !== undefined)
    const order =
      typeof x === 'bigint' && typeof y === 'bigint'
        ? compareNumbers(x, y)
        : typeof x === typeof y
          ? x < y
            ? -1
            : Number(x > y)
          : Number(typeof x === 'bigint') - Number(typeof y === 'bigint')
    if (order !== 0) return order
  }
  return 0
}

function compareTuples(a: [bigint, bigint], b: [bigint, bigint]): number {
  return compareNumbers(a[0], b[0]) || compareNumbers(a[1], b[1])
}

function compareNumbers(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b)
}
