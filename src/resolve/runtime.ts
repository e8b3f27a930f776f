import { open, readFile, stat } from 'node:fs/promises'
import { z } from 'zod'
import { hashPool } from '../content/hash-pool.ts'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { digestSchema, type RuntimeFile } from '../lock/schema.ts'

/** Path in the bundle → absolute path in this tool's installation. */
export type RuntimePaths = Record<string, string>

/** Path → the state of the file when it was hashed: size in bytes, mtime in ms. */
const memorySchema = z.record(
  z.string(),
  z.strictObject({ size: z.number(), mtimeMs: z.number(), inode: z.number(), digest: digestSchema }),
)
type Memory = z.infer<typeof memorySchema>

/**
 * Locks the tool's own files, which every bundle carries. `memory` is a file that caches the digests of unchanged files: trusting
 * it is safe, because a build reads each file and refuses one with another digest. Throws TOOL_MISSING.
 */
export async function lockRuntime(
  paths: RuntimePaths,
  {
    memory,
    versions = {},
  }: {
    memory?: string
    /** path in the bundle → version of the program, where it is known */
    versions?: Record<string, string>
  } = {},
): Promise<RuntimeFile[]> {
  const known = memory === undefined ? {} : await readMemory(memory)
  const files: RuntimeFile[] = []
  let changed = false
  for (const [path, source] of Object.entries(paths)) {
    try {
      const { size, mtimeMs, ino: inode } = await stat(source)
      const last = Object.hasOwn(known, source) ? known[source] : undefined
      const same = last?.size === size && last.mtimeMs === mtimeMs && last.inode === inode
      const digest = same ? last.digest : await digestOfFile(source)
      known[source] = { size, mtimeMs, inode, digest }
      changed ||= !same
      const mode = /\.[a-z]+$/.test(path) ? 0o644 : 0o755
      files.push({ path, mode, digest, size, ...defined({ version: versions[path] }) })
    } catch (error) {
      throw missingRuntime(fromSystemError(error, source), source)
    }
  }
  if (memory !== undefined && changed) await writeAtomically(memory, `${canonicalJson(known, 2)}\n`)
  return files
}

async function digestOfFile(path: string): Promise<Digest> {
  await using file = await open(path, 'r')
  // Node.js itself is more than 100 MB; the items of the manifest are resolved meanwhile
  const pool = hashPool({ size: 1 })
  try {
    return await pool.hash([{ fd: file.fd, start: 0, end: (await file.stat()).size }], { item: path })
  } finally {
    await pool.close()
  }
}

/** Returns an empty object if the file is missing or invalid. */
async function readMemory(path: string): Promise<Memory> {
  try {
    return memorySchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return {}
  }
}

function missingRuntime(error: unknown, source: string): unknown {
  if (!(error instanceof AirgapError)) return error
  return new AirgapError('TOOL_MISSING', 'a file of the tool itself cannot be read', {
    item: source,
    likely: 'the setup of the tool is incomplete',
    next: 'run ./scripts/setup',
    cause: error,
  })
}
