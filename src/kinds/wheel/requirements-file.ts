import { dirname, resolve } from 'node:path'
import { AirgapError } from '../../core/errors.ts'
import { redactText } from '../../core/redact.ts'
import { withoutTrailing } from '../../core/trim.ts'
import { type ListLine, readLines } from '../../document/read-text.ts'
import { fileNameOf } from './file-name.ts'
import { parseWheelName } from './tags.ts'

/** One logical line of a requirements file. */
export interface RequirementLine {
  at: string
  /** continuations joined, comments removed: `ansible==8.5.0 ; python_version < "3.12" --hash=sha256:…` */
  text: string
}

/** What a requirements file requests, including the files that it names. */
export interface Requirements {
  requirements: RequirementLine[]
  constraints: RequirementLine[]
  /** `--require-hashes` */
  requireHashes: boolean
}

const maxDepth = 20
/** files read; two lines in each file that name the next one would be a million at depth 20 */
const maxFiles = 500

/**
 * pip's requirements file format: comments, lines continued by a backslash, `-r` and `-c` with paths relative to the file,
 * `--hash`, wheels by URL. The manifest says where packages come from: an index in the file must be one of the manifest's `indexes`, other places
 * and options that would change the choice are refused, options without a meaning here are ignored.
 * `namedAt` is the place that names the file. Throws MANIFEST_INVALID, FILE_NOT_FOUND.
 */
export async function readRequirements(
  path: string,
  { namedAt, indexes }: { namedAt: string; indexes: readonly string[] },
): Promise<Requirements> {
  return await read(path, { namedAt, above: [], count: { files: 0 }, indexes: indexes.map(plainIndex) })
}

interface Reading {
  namedAt: string
  above: readonly string[]
  count: { files: number }
  /** of the manifest, as plainIndex writes them */
  indexes: readonly string[]
}

async function read(path: string, from: Reading): Promise<Requirements> {
  const { namedAt, above, count, indexes } = from
  if (++count.files > maxFiles) {
    throw new AirgapError('MANIFEST_INVALID', `the requirements name more than ${maxFiles} files`, {
      item: `${namedAt}: ${path}`,
      likely: 'several files name the same file again and again',
      next: 'remove -r and -c lines until each file is named once',
    })
  }
  if (above.includes(path) || above.length > maxDepth) {
    throw new AirgapError('MANIFEST_INVALID', 'requirements files name each other in a circle', {
      item: [...above.slice(above.indexOf(path)), path].join(' → '),
      likely: above.includes(path) ? 'a -r or -c line names a file above it' : 'the files were generated',
      next: 'remove one of the -r or -c lines',
    })
  }
  const found: Requirements = { requirements: [], constraints: [], requireHashes: false }
  for (const line of joined(await readLines(path, namedAt))) {
    const { file, isConstraint } = included(line)
    if (file === undefined) {
      if (/^--require-hashes\s*$/.test(line.text)) found.requireHashes = true
      else if (!isIgnored(line, indexes)) found.requirements.push(requirementLine(line))
      continue
    }
    if (/^[a-z]+:\/\//i.test(file))
      throw refusal(
        line,
        'a requirements file on a server cannot be read',
        'save it next to the manifest, and name that',
      )
    const inner = await read(resolve(dirname(path), file), {
      namedAt: line.at,
      above: [...above, path],
      count,
      indexes,
    })
    found.requireHashes ||= inner.requireHashes
    found.constraints.push(...inner.constraints)
    if (isConstraint) found.constraints.push(...inner.requirements)
    else found.requirements.push(...inner.requirements)
  }
  return found
}

/** A backslash at the end of a line continues it; `#` starts a comment at the start of a line or after white space. */
function joined(lines: readonly ListLine[]): ListLine[] {
  const whole: ListLine[] = []
  let open: ListLine | undefined
  for (const { text: written, at } of lines) {
    const text = written.replace(/(^|\s)#.*/, '')
    const continues = text.endsWith('\\')
    const part = continues ? text.slice(0, -1) : text
    if (open !== undefined) open.text += ` ${part.trim()}`
    else open = { text: part.trim(), at }
    if (continues) continue
    if (open.text !== '') whole.push(open)
    open = undefined
  }
  if (open !== undefined && open.text !== '') whole.push(open)
  return whole
}

function included({ text }: ListLine): { file?: string; isConstraint: boolean } {
  const [, option, file] = /^(-r|--requirement|-c|--constraint)(?:\s+|=\s*|(?=[^-\s]))(\S.*)/.exec(text) ?? []
  const isConstraint = option === '-c' || option === '--constraint'
  return file === undefined ? { isConstraint } : { file: file.trim(), isConstraint }
}

/** Options that change nothing here: wheels are preferred, no server is trusted more for being named, and the manifest has the index. */
const ignored =
  /^--(?:only-binary|prefer-binary|trusted-host|use-feature|always-unzip|no-use-wheel|use-wheel)\b/

function isIgnored(line: ListLine, indexes: readonly string[]): boolean {
  const [, index] =
    /^(?:-i|--index-url|--extra-index-url|--pypi-url)(?:\s*=\s*|\s+|(?=https?:))(\S+)\s*$/.exec(line.text) ??
    []
  if (index === undefined) return ignored.test(line.text)
  if (indexes.includes(plainIndex(index))) return true
  throw refusal(
    line,
    'the requirements file names an index that the manifest does not have',
    'add its address to `indexes:` of the entry; a login belongs into ~/.netrc',
  )
}

/** An address of an index, to compare: without a login, which may be that of a variable. */
function plainIndex(url: string): string {
  const plain = url.replace(/^(https?:\/\/)[^/]*@/i, '$1')
  return withoutTrailing(URL.canParse(plain) ? new URL(plain).href : plain, '/')
}

function refusal({ at, text }: ListLine, what: string, next: string): AirgapError {
  return new AirgapError('MANIFEST_INVALID', what, {
    item: `${at}: ${redactText(text).slice(0, 200)}`,
    likely: 'the file was written for pip on a connected machine',
    next,
  })
}

/** One requirement of a file or of the manifest; a file by its URL alone gets its project. Throws MANIFEST_INVALID. */
export function requirementLine(line: ListLine): RequirementLine {
  const { text, at } = line
  const refuse = (what: string, next: string) => refusal(line, what, next)
  if (/\$\{[A-Z0-9_]+\}/.test(text))
    throw refuse(
      'the requirement depends on an environment variable',
      'write the value itself: a lock must not depend on the environment',
    )
  if (/^(-i|--index-url|--extra-index-url|--pypi-url|-f|--find-links|--no-index)\b/.test(text))
    throw refuse(
      'a requirements file cannot choose where packages come from',
      'write the index into the manifest: `indexes:`; a page of links is no index: name its files by their URLs',
    )
  if (/^--pre\b/.test(text))
    throw refuse('the option is not supported', 'write it into the manifest: `prereleases: true`')
  if (/^--no-binary\b/.test(text))
    throw refuse(
      'the option is not supported',
      'remove it; list projects that may be carried as source in the manifest: `sdists:`',
    )
  if (/^https?:\/\//i.test(text)) return { text: namedFile(line), at }
  const isDirect = /^[A-Za-z0-9._-]+\s*(?:\[[^\]]*\]\s*)?@\s*\S/.test(text)
  if (/^(-e|--editable)\b/.test(text) || (!isDirect && /^(?!-)[^\s;#[\]]*[/\\:]/.test(text)))
    throw refuse(
      'a requirement by path, or from a version control system, is not supported',
      'build a wheel of it, and name that by its URL; carry other files under `files:`',
    )
  if (text.startsWith('-')) throw refuse('the option is not supported', 'remove it')
  return { text, at }
}

/** `https://host/name-1.0-py3-none-any.whl` → `name @ https://…`, as pip reads the project from the file or from `#egg=`. */
function namedFile(line: ListLine): string {
  const [url = ''] = /^\S+/.exec(line.text) ?? []
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const filename = parsed === undefined ? '' : fileNameOf(parsed)
  const egg = /(?:^|[#&])egg=([A-Za-z0-9._-]+)/.exec(parsed?.hash ?? '')?.[1]
  const source = /^(.+)-[^-]+\.tar\.gz$/.exec(filename)?.[1]
  const project = parseWheelName(filename)?.project ?? egg ?? source
  if (project !== undefined) return `${project} @ ${line.text}`
  throw refusal(line, 'the URL does not say of which project the file is', 'write it as `project @ URL`')
}
