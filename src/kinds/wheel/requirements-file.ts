import { dirname, resolve } from 'node:path'
import { AirgapError } from '../../core/errors.ts'
import { redactText } from '../../core/redact.ts'
import { type ListLine, readLines } from '../../document/read-text.ts'

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
}

const maxDepth = 20
/** files read; two lines in each file that name the next one would be a million at depth 20 */
const maxFiles = 500

/**
 * pip's requirements file format: comments, lines continued by a backslash, `-r` and `-c` with paths relative to the file,
 * `--hash`. Other sources (indexes, URLs, folders) and other options are refused: the manifest says where packages come from.
 * `namedAt` is the place that names the file. Throws MANIFEST_INVALID, FILE_NOT_FOUND.
 */
export async function readRequirements(path: string, namedAt: string): Promise<Requirements> {
  return await read(path, { namedAt, above: [], count: { files: 0 } })
}

interface Reading {
  namedAt: string
  above: readonly string[]
  count: { files: number }
}

async function read(path: string, from: Reading): Promise<Requirements> {
  const { namedAt, above, count } = from
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
  const found: Requirements = { requirements: [], constraints: [] }
  for (const line of joined(await readLines(path, namedAt))) {
    const { file, isConstraint } = included(line)
    if (file === undefined) {
      found.requirements.push(plain(line))
      continue
    }
    const inner = await read(resolve(dirname(path), file), {
      namedAt: line.at,
      above: [...above, path],
      count,
    })
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
    const text = written.replace(/(^|\s)#.*$/, '')
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
  const [, option, file] = /^(-r|--requirement|-c|--constraint)(?:\s+|=|(?=[^-\s]))(.+)$/.exec(text) ?? []
  const isConstraint = option === '-c' || option === '--constraint'
  return file === undefined ? { isConstraint } : { file: file.trim(), isConstraint }
}

function plain(line: ListLine): RequirementLine {
  const { text, at } = line
  const refuse = (what: string, next: string) =>
    new AirgapError('MANIFEST_INVALID', what, {
      item: `${at}: ${redactText(text).slice(0, 200)}`,
      likely: 'the file was written for pip on a connected machine',
      next,
    })
  if (/^(-i|--index-url|--extra-index-url|-f|--find-links|--trusted-host|--no-index)\b/.test(text))
    throw refuse(
      'a requirements file cannot choose where packages come from',
      'write the index into the manifest: `indexes:`',
    )
  if (/^(-e|--editable)\b/.test(text) || /^(?!-)[^\s;#[\]]*[/\\:]/.test(text) || /^[^;]*@/.test(text))
    throw refuse(
      'a requirement by path or URL is not supported',
      'name the project and its version; carry files under `files:`',
    )
  if (/^--pre\b/.test(text))
    throw refuse('the option is not supported', 'write it into the manifest: `prereleases: true`')
  if (/^--(no|only)-binary\b/.test(text))
    throw refuse(
      'the option is not supported',
      'remove it; list projects that may be carried as source in the manifest: `sdists:`',
    )
  if (text.startsWith('-')) throw refuse('the option is not supported', 'remove it')
  if (/\$\{[A-Z0-9_]+\}/.test(text))
    throw refuse(
      'the requirement depends on an environment variable',
      'write the value itself: a lock must not depend on the environment',
    )
  return { text, at }
}
