import { compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { type Digest, hexOf, isDigest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'

const product = 'astrago-airgap' as const

/** What a signature of a bundle vouches for. */
export interface Statement {
  product: typeof product
  /** name and version of the bundle */
  name: string
  version: string
  /** digest of index.json, from which everything in the bundle is verified */
  index: Digest
  /** times in UTC, to the second: `2026-11-27T03:20:00Z` */
  built: string
  expires?: string
  /** sorted by path: index.json, and every file that runs on site before anything else is verified */
  files: { path: string; sha256: string }[]
}

/** The part that the bundle itself determines. */
export type StatedContent = Pick<Statement, 'name' | 'version' | 'index' | 'files'>

const maxSize = 64 * 1024 /* bytes */
const maxFiles = 256
const infoPattern = /^[A-Za-z0-9][A-Za-z0-9.+~_-]{0,62}$/
/** No blank, no folder, and nothing that a shell or a leading dash makes special: the names are passed to `tar` on site. */
const pathPattern = /^offline-deploy\/[A-Za-z0-9][A-Za-z0-9._+-]{0,200}$/

/**
 * Prints `B.sums`: comments with what it is about, then lines of `sha256sum`. Throws INTERNAL for a statement that `parseStatement` would
 * refuse.
 */
export function printStatement(statement: Statement): string {
  const text = lines(statement)
  if (parse(Buffer.from(text)) === undefined)
    throw new AirgapError('INTERNAL', 'the statement cannot be printed', { item: text.slice(0, 1000) })
  return text
}

function lines({ name, version, index, built, expires, files }: Statement): string {
  return [
    `# product: ${product}`,
    `# stack: ${name}`,
    `# version: ${version}`,
    `# index: ${index}`,
    `# built: ${built}`,
    ...(expires === undefined ? [] : [`# expires: ${expires}`]),
    ...files.map(({ path, sha256 }) => `${sha256}  ${path}`),
    '',
  ].join('\n')
}

/** Parses `B.sums`, of which there is exactly one form. Throws SIGNATURE_INVALID. */
export function parseStatement(bytes: Uint8Array, item: string): Statement {
  const statement = parse(bytes)
  if (statement !== undefined) return statement
  throw new AirgapError('SIGNATURE_INVALID', 'this is not a list of checksums as `airgap sign` writes it', {
    item,
    likely: 'it was edited, converted (line ends), or damaged while it was copied',
    next: 'copy the file again from the host that built the bundle',
  })
}

const fieldPattern = /^# (product|stack|version|index|built|expires): (\S{1,100})$/
const sumPattern = /^([0-9a-f]{64}) {2}(\S{1,500})$/

function parse(bytes: Uint8Array): Statement | undefined {
  if (bytes.length > maxSize) return undefined
  const text = Buffer.from(bytes).toString('latin1')
  const fields: Record<string, string> = {}
  const files: Statement['files'] = []
  for (const line of text.split('\n').slice(0, -1)) {
    const [, field, value] = fieldPattern.exec(line) ?? []
    const [, sha256, path] = sumPattern.exec(line) ?? []
    if (field !== undefined) fields[field] = value!
    else if (sha256 !== undefined) files.push({ path: path!, sha256 })
    else return undefined
  }
  const { stack: name = '', version = '', index = '', built = '', expires } = fields
  if (fields.product !== product || !isDigest(index)) return undefined
  const statement: Statement = defined({ product, name, version, index, built, expires, files })
  // compared with its printed form: order, repeated lines and line ends cannot vary
  return isValid(statement) && lines(statement) === text ? statement : undefined
}

function isValid({ name, version, index, built, expires, files }: Statement): boolean {
  return (
    infoPattern.test(name) &&
    infoPattern.test(version) &&
    isTime(built) &&
    (expires === undefined || (isTime(expires) && expires > built)) &&
    files.length <= maxFiles &&
    files[0]?.path === 'index.json' &&
    files[0].sha256 === hexOf(index) &&
    files.slice(1).every(({ path }) => pathPattern.test(path)) &&
    files.every(({ path }, i) => i === 0 || compareText(files[i - 1]!.path, path) < 0)
  )
}

function isTime(text: string): boolean {
  if (!/^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return false
  const time = new Date(text)
  return !Number.isNaN(time.getTime()) && printTime(time) === text
}

/** Returns a time as a statement has it. */
export function printTime(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

/**
 * Checks that a statement is the one of a bundle: name, version, index and every sum. A signature of another bundle is good, too, and a program
 * that the statement does not list was not checked before it ran. Throws SIGNATURE_INVALID; `item` is the statement's path.
 */
export function checkStated(
  statement: Statement,
  { content, item }: { content: StatedContent; item: string },
): void {
  if (isStatementOf(statement, content)) return
  const { name, version, index, files } = statement
  if (name !== content.name || version !== content.version)
    throw new AirgapError(
      'SIGNATURE_INVALID',
      `the signature is of another bundle: ${name} ${version}, not ${content.name} ${content.version}`,
      { item, likely: 'the files of two deliveries were mixed', next: copyAgain },
    )
  if (index !== content.index)
    throw new AirgapError(
      'SIGNATURE_INVALID',
      `the bundle has digest ${content.index}; ${index} was signed`,
      {
        item,
        likely: 'the bundle was changed, or built again, after it was signed',
        next: `${copyAgain}; on that host, run \`airgap build\` again`,
      },
    )
  const lines = (list: Statement['files']) => list.map(file => `${file.sha256}  ${file.path}`)
  const [signed, carried] = [lines(files), lines(content.files)]
  const other =
    carried.find(line => !signed.includes(line)) ?? signed.find(line => !carried.includes(line)) ?? ''
  throw new AirgapError('SIGNATURE_INVALID', 'a program in the bundle is not the one that was signed', {
    item: `${item}: ${other.slice(other.indexOf(' ') + 2)}`,
    likely: 'the list names other programs, or other contents',
    next: `do not run anything of this bundle; ${copyAgain}`,
  })
}

const copyAgain =
  'copy the bundle again, with all files whose names start with its own name, from the host that signed it'

export function isStatementOf({ name, version, index, files }: Statement, content: StatedContent): boolean {
  const key = (one: StatedContent) =>
    JSON.stringify([one.name, one.version, one.index, one.files.map(({ path, sha256 }) => [path, sha256])])
  return key({ name, version, index, files }) === key(content)
}
