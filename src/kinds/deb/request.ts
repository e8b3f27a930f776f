import { isVersion } from '../../core/debian-version.ts'
import { AirgapError } from '../../core/errors.ts'
import { isGlob } from '../../core/glob.ts'
import { redactText } from '../../core/redact.ts'

/** apt-get(8): `name[:architecture][=version | /suite]`. */
export interface PackageRequest {
  /** as written */
  text: string
  name: string
  architecture?: string
  /** also `1.2*` or another pattern (pkgVersionMatch) */
  version?: string
  /** suite, codename or version of the release that this package is taken from, with the dependencies that only that suite satisfies */
  suite?: string
}

/** dpkg's own rule (pkg_name_is_illegal), wider than Debian policy 5.6.1. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9+._-]*$/
const architecturePattern = /^[a-z0-9][a-z0-9-]*$/
const versionPattern = /^[A-Za-z0-9.+~:*?[\]!^-]+$/
const suitePattern = /^[A-Za-z0-9*?[][\w.+~*?[\]!^/-]*$/

/** Throws MANIFEST_INVALID; `at` is where the package was requested. */
export function parseRequest(text: string, at: string): PackageRequest {
  const mark = text.search(/[=/]/)
  const [who, what] = mark < 0 ? [text, undefined] : [text.slice(0, mark), text.slice(mark + 1)]
  const [name = '', architecture] = who.split(':', 2)
  if (!namePattern.test(name)) throw wrong('invalid package name', text, at)
  const request: PackageRequest = { text, name }
  if (architecture !== undefined) {
    if (!architecturePattern.test(architecture)) throw wrong('invalid architecture', text, at)
    request.architecture = architecture
  }
  if (what === undefined) return request
  if (text[mark] === '=') {
    const isPattern = isGlob(what) && versionPattern.test(what)
    if (!isPattern && !isVersion(what)) throw wrong('invalid version', text, at)
    return { ...request, version: what }
  }
  if (!suitePattern.test(what)) throw wrong('invalid suite', text, at)
  return { ...request, suite: what }
}

function wrong(what: string, text: string, at: string): AirgapError {
  return new AirgapError('MANIFEST_INVALID', `${what}: ${JSON.stringify(redactText(text).slice(0, 120))}`, {
    item: at,
    likely: 'a typing mistake: write packages as for apt-get install',
    next: 'write it as name, name=version, name/suite or name:architecture, for example jq, jq=1.6-2.1+deb12u1 or jq=1.6*',
  })
}
