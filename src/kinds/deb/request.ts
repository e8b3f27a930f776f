import { AirgapError } from '../../core/errors.ts'
import { isVersion } from './version.ts'

/** apt-get(8): `name[:architecture][=version | /suite]`. */
export interface PackageRequest {
  /** as it was written */
  text: string
  name: string
  architecture?: string
  version?: string
  /** suite or codename that this package, and what it needs from there, is taken from */
  suite?: string
}

const namePattern = /^[a-z0-9][a-z0-9+.-]*$/
const architecturePattern = /^[a-z0-9][a-z0-9-]*$/
const suitePattern = /^[A-Za-z0-9][A-Za-z0-9._/-]*$/

/** Throws MANIFEST_INVALID; `at` is where it was asked for. */
export function parseRequest(text: string, at: string): PackageRequest {
  const mark = text.search(/[=/]/)
  const [who, what] = mark < 0 ? [text, undefined] : [text.slice(0, mark), text.slice(mark + 1)]
  const [name = '', architecture] = who.split(':', 2)
  if (!namePattern.test(name)) throw wrong('not a package name', text, at)
  const request: PackageRequest = { text, name }
  if (architecture !== undefined) {
    if (!architecturePattern.test(architecture)) throw wrong('not an architecture', text, at)
    request.architecture = architecture
  }
  if (what === undefined) return request
  if (text[mark] === '=') {
    if (!isVersion(what)) throw wrong('not a version', text, at)
    return { ...request, version: what }
  }
  if (!suitePattern.test(what)) throw wrong('not a suite', text, at)
  return { ...request, suite: what }
}

function wrong(what: string, text: string, at: string): AirgapError {
  return new AirgapError('MANIFEST_INVALID', `${what}: ${JSON.stringify(text.slice(0, 120))}`, {
    item: at,
    likely: 'a slip of the pen: a package is written as apt takes it',
    next: 'write it as name, name=version, name/suite or name:architecture, for example jq or jq=1.6-2.1+deb12u1',
  })
}
