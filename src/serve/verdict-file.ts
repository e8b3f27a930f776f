import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { z } from 'zod'
import { AppendedFile } from '../core/appended-file.ts'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { type Digest, isDigest } from '../core/digest.ts'
import { readGuarded } from '../core/guarded-file.ts'

/** What the verdicts of a file are about: they are void for anything else. */
const subjectSchema = z.strictObject({
  format: z.literal(1),
  /** digest of index.json, from which all content can be verified */
  bundle: z.string(),
  /** of the open file (core/file-state.ts) */
  state: z.string(),
  /** core/attachment.ts; null: the verdicts are for people to read, and no later run trusts them */
  attachment: z.string().nullable(),
  /** number of blobs in the bundle */
  blobs: z.number().int().nonnegative(),
})
export type VerdictSubject = Omit<z.infer<typeof subjectSchema>, 'format'>

/** What was found out about the content of one bundle. */
export interface KnownVerdicts {
  /** all blobs are right, except those that are damaged */
  all: boolean
  right: Set<Digest>
  /** digest → when the damage was found, ISO 8601 */
  damaged: Map<Digest, string>
  /** when all content had been read again for the last time, ISO 8601 */
  scrubbed?: string
}

/** One thing that was found out. */
export type Finding =
  | { type: 'right' | 'damaged'; digest: Digest; at: string }
  | { type: 'all' | 'scrubbed'; at: string }

/**
 * Verdicts of one bundle in a file, line by line, each with a checksum over all lines so far: what was torn off, or changed by accident, is
 * ignored from there on. The checksum is no protection from users who may write to the folder; the folder is (core/private-folder.ts).
 * Nothing is synced: after a crash of the machine its attachment is another one, and the file counts for nothing.
 */
export interface VerdictFile {
  readonly subject: VerdictSubject
  readonly known: KnownVerdicts
  /** Adds a finding; it is in the file a second later. A full disk is ignored: the content is read again after the next start. */
  add(finding: Finding): void
  /** Starts from scratch: the file of the bundle has another state now. */
  restart(subject: VerdictSubject): void
  close(): Promise<void>
}

/** Opens the file, and creates it (mode 0600). What it has about another subject is discarded. Throws system errors. */
export async function openVerdictFile(path: string, wanted: VerdictSubject): Promise<VerdictFile> {
  const found = await readVerdictFile(path)
  const isTrusted = found !== undefined && wanted.attachment !== null && isSameSubject(found.subject, wanted)
  let subject = wanted
  let known = isTrusted ? found.known : nothingKnown()
  /** of the lines so far */
  let sum = ''
  let pending: Finding[] = []
  let rewrite = true
  let handle: FileHandle | undefined
  let file: AppendedFile | undefined
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()

  async function write(): Promise<void> {
    const added = pending
    pending = []
    if (rewrite) {
      const lines = new Lines()
      const text = wholeText({ subject, known }, lines)
      await handle?.close()
      handle = undefined
      await writeAtomically(path, text, 0o600)
      handle = await open(path, 'r+')
      file = new AppendedFile(handle, Buffer.byteLength(text))
      rewrite = false
      sum = lines.sum
      return
    }
    const lines = new Lines(sum)
    const text = added.map(finding => lines.add(lineOf(finding))).join('')
    await file?.append(text)
    sum = lines.sum
  }

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    writing = writing.then(write).catch(() => {
      // written from scratch with the next finding
      rewrite = true
    })
  }

  await write()
  return {
    get subject() {
      return subject
    },
    get known() {
      return known
    },
    add(finding) {
      learn(known, finding)
      // one line says it all
      if (finding.type === 'all' || finding.type === 'scrubbed') rewrite = true
      pending.push(finding)
      timer ??= setTimeout(flush, 1_000).unref()
    },
    restart(another) {
      subject = another
      known = nothingKnown()
      pending = []
      rewrite = true
      timer ??= setTimeout(flush, 1_000).unref()
    },
    async close() {
      if (timer !== undefined) flush()
      await writing
      await handle?.close()
    },
  }
}

/** Writes that all content of the bundle was found to be right. Throws system errors. */
export async function writeAllRight(
  path: string,
  { subject, at }: { subject: VerdictSubject; at: string },
): Promise<void> {
  const known = nothingKnown()
  learn(known, { type: 'all', at })
  await writeAtomically(path, wholeText({ subject, known }, new Lines()), 0o600)
}

/** of a million blobs */
const maxVerdictFile = 256 << 20 /* bytes */

/** Returns what the file has, as far as it is intact; undefined where there is none, or none that is a file of verdicts. */
export async function readVerdictFile(
  path: string,
): Promise<{ subject: VerdictSubject; known: KnownVerdicts } | undefined> {
  // root reads what the servers' user has written: no links, no pipes
  const found = await readGuarded(path, maxVerdictFile).catch(() => undefined)
  if (found === undefined) return undefined
  const text = found.bytes.toString('utf8')
  const lines = new Lines()
  const known = nothingKnown()
  let subject: VerdictSubject | undefined
  for (const line of text.split('\n')) {
    const content = line.slice(0, -sumLength - 1)
    if (lines.add(content) !== `${line}\n`) break
    if (subject === undefined) {
      subject = parseSubject(content)
      if (subject === undefined) return undefined
      continue
    }
    const finding = parseFinding(content)
    if (finding !== undefined) learn(known, finding)
  }
  return subject === undefined ? undefined : { subject, known }
}

export function isRight({ all, right, damaged }: KnownVerdicts, digest: Digest): boolean {
  return !damaged.has(digest) && (all || right.has(digest))
}

export function isSameSubject(one: VerdictSubject, other: VerdictSubject): boolean {
  return canonicalJson(one) === canonicalJson(other)
}

function nothingKnown(): KnownVerdicts {
  return { all: false, right: new Set(), damaged: new Map() }
}

function learn(known: KnownVerdicts, finding: Finding): void {
  switch (finding.type) {
    case 'right':
      known.damaged.delete(finding.digest)
      if (!known.all) known.right.add(finding.digest)
      return
    case 'damaged':
      known.right.delete(finding.digest)
      known.damaged.set(finding.digest, finding.at)
      return
    case 'all':
      known.all = true
      known.right.clear()
      return
    case 'scrubbed':
      known.scrubbed = finding.at
  }
}

function wholeText(
  { subject, known }: { subject: VerdictSubject; known: KnownVerdicts },
  lines: Lines,
): string {
  const at = new Date(0).toISOString()
  const findings: Finding[] = [
    ...(known.all ? [{ type: 'all' as const, at }] : []),
    ...[...known.right].map(digest => ({ type: 'right' as const, digest, at })),
    ...[...known.damaged].map(([digest, found]) => ({ type: 'damaged' as const, digest, at: found })),
    ...(known.scrubbed === undefined ? [] : [{ type: 'scrubbed' as const, at: known.scrubbed }]),
  ]
  return [canonicalJson({ format: 1, ...subject }), ...findings.map(lineOf)]
    .map(line => lines.add(line))
    .join('')
}

function lineOf(finding: Finding): string {
  const { type, at } = finding
  if (type === 'all') return type
  if (type === 'right') return `${type} ${finding.digest}`
  return type === 'damaged' ? `${type} ${finding.digest} ${at}` : `${type} ${at}`
}

function parseFinding(line: string): Finding | undefined {
  const [type, one = '', at = ''] = line.split(' ')
  if (type === 'all') return { type, at }
  if (type === 'scrubbed') return { type, at: one }
  return (type === 'right' || type === 'damaged') && isDigest(one) ? { type, digest: one, at } : undefined
}

function parseSubject(line: string): VerdictSubject | undefined {
  try {
    const { format: _, ...subject } = subjectSchema.parse(JSON.parse(line))
    return subject
  } catch {
    return undefined
  }
}

const sumLength = 16 /* hex digits */

/** Appends to each line the checksum of all lines so far. */
class Lines {
  sum: string

  constructor(sum = '') {
    this.sum = sum
  }

  add(line: string): string {
    this.sum = createHash('sha256').update(`${this.sum}${line}`).digest('hex').slice(0, sumLength)
    return `${line} ${this.sum}\n`
  }
}
