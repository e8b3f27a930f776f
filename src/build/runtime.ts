import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import type { RuntimeFile } from '../lock/schema.ts'

/** Path in the bundle → absolute path in this tool's installation. */
export type RuntimePaths = Record<string, string>

/** Reads the tool's own files that every bundle carries; their digests go into the lock. */
export async function lockRuntime(paths: RuntimePaths): Promise<RuntimeFile[]> {
  const files: RuntimeFile[] = []
  for (const [path, source] of Object.entries(paths)) {
    const hash = createHash('sha256')
    let size = 0
    try {
      for await (const chunk of createReadStream(source, {
        highWaterMark: 1 << 20,
      }) as AsyncIterable<Buffer>) {
        hash.update(chunk)
        size += chunk.length
      }
    } catch (error) {
      throw missingRuntime(fromSystemError(error, source), source)
    }
    files.push({
      path,
      mode: path.endsWith('.mjs') ? 0o644 : 0o755,
      digest: `sha256:${hash.digest('hex')}`,
      size,
    })
  }
  return files
}

function missingRuntime(error: unknown, source: string): unknown {
  if (!(error instanceof AirgapError)) return error
  return new AirgapError('TOOL_MISSING', 'a file of the tool itself cannot be read', {
    item: source,
    likely: 'the tool was not set up completely',
    next: 'run ./scripts/setup',
    cause: error,
  })
}
