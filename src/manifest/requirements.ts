import { dirname, resolve } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import { type ListLine, readLines } from './source-text.ts'
import type { RequirementLine } from './stack.ts'

/** What a requirements file asks for, with the files that it names. */
export interface Requirements {
  requirements: RequirementLine[]
  constraints: RequirementLine[]
}

const maxDepth = 20
/** files read; two lines in each that name the next would be a million at depth 20 */
const maxFiles = 500

/**
 * pip's requirements file format: comments, lines continued by a backslash, `-r` and `-c` with paths relative to the file,
 * `--hash`. What leads elsewhere (indexes, URLs, folders, other options) is refused: the manifest says where things come from.
 */
export async function readRequirements(path: string, asker: string): Promise<Requirements> {
  return await read(path, { asker, above: [], count: { files: 0 } })
}

interface Reading {
  asker: string
  above: readonly string[]
  count: { files: number }
}

async function read(path: string, from: Reading): Promise<Requirements> {
  const { asker, above, count } = from
  if (++count.files > maxFiles) {
    throw new AirgapError('MANIFEST_INVALID', `more than ${maxFiles} requirements files`, {
      item: `${asker}: ${path}`,
      likely: 'files that name the same file many times over',
      next: 'take -r and -c lines out until each file is named once',
    })
  }
  if (above.includes(path) || above.length > maxDepth) {
    throw new AirgapError('MANIFEST_INVALID', 'requirements files that name each other', {
      item: [...above.slice(above.indexOf(path)), path].join(' → '),
      likely: above.includes(path) ? 'a -r or -c line that leads back' : 'a file made by a program',
      next: 'take one of the -r or -c lines out',
    })
  }
  const found: Requirements = { requirements: [], constraints: [] }
  for (const line of joined(await readLines(path, asker))) {
    const { file, isConstraint } = included(line)
    if (file === undefined) {
      found.requirements.push(plain(line))
      continue
    }
    const inner = await read(resolve(dirname(path), file), { asker: line.at, above: [...above, path], count })
    found.constraints.push(...inner.constraints)
    if (isConstraint) found.constraints.push(...inner.requirements)
    else found.requirements.push(...inner.requirements)
  }
  return found
}

/** A backslash at the end of a line continues it; `#` begins a comment at the start or after a blank. */
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
      item: `${at}: ${shown(text).slice(0, 200)}`,
      likely: 'a file that was written for pip on a connected machine',
      next,
    })
  if (/^(-i|--index-url|--extra-index-url|-f|--find-links|--trusted-host|--no-index)\b/.test(text))
    throw refuse(
      'a requirements file does not say where packages come from',
      'write the index into the manifest: `indexes:`',
    )
  if (/^(-e|--editable)\b/.test(text) || /^(?!-)[^\s;#[\]]*[/\\:]/.test(text) || /^[^;]*@/.test(text))
    throw refuse(
      'a requirement by path or URL',
      'name the project and its version; files are carried under `files:`',
    )
  if (/^--pre\b/.test(text))
    throw refuse('an option that is not understood', 'write it into the manifest: `prereleases: true`')
  if (/^--(no|only)-binary\b/.test(text))
    throw refuse(
      'an option that is not understood',
      'take it out; what may be carried as source is said in the manifest: `sdists:`',
    )
  if (text.startsWith('-')) throw refuse('an option that is not understood', 'take it out')
  if (/\$\{[A-Z0-9_]+\}/.test(text))
    throw refuse(
      'a requirement that depends on the environment',
      'write the value out: a lock must not depend on who makes it',
    )
  return { text, at }
}

/** Without passwords in URLs. */
function shown(text: string): string {
  return text.replace(/:\/\/[^\s/@]*@/g, '://')
}
