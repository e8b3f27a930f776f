import { AirgapError } from '../../core/errors.ts'
import { gitOutput, startGit } from './run-git.ts'

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag'

/** One object of a repository: its content comes in chunks, and has to be read before the next object. */
export interface GitObject {
  id: string
  type: ObjectType
  /** bytes */
  size: number
  content: AsyncIterable<Buffer>
}

interface Place {
  /** a bare repository */
  repository: string
  signal: AbortSignal
}

/** Ids of a commit and all that it consists of: trees and files, not its ancestors. Sorted. */
export async function objectsOfCommit(commit: string, place: Place): Promise<string[]> {
  return await listObjects(['--max-count=1', commit], place)
}

/** Ids of a commit and all its ancestors, with all that they consist of. Sorted. */
export async function objectsOfHistory(commit: string, place: Place): Promise<string[]> {
  return await listObjects([commit], place)
}

async function listObjects(args: readonly string[], { repository, signal }: Place): Promise<string[]> {
  // without names: a path may contain a line break
  const command = ['rev-list', '--objects', '--no-object-names', ...args]
  const text = (await gitOutput({ args: command, repository, signal }, 1 << 30)).toString('latin1')
  return text
    .split('\n')
    .filter(line => line !== '')
    .sort()
}

/** Reads objects in the order of their ids. Throws GitError; an object that is missing is UPSTREAM_INVALID. */
export async function* readObjects(
  ids: readonly string[],
  { repository, signal }: Place,
): AsyncGenerator<GitObject> {
  const git = startGit({ args: ['cat-file', '--batch', '--buffer'], repository, signal })
  git.stdin.end(ids.map(id => `${id}\n`).join(''))
  try {
    const reader = new ByteReader(git.stdout)
    for (const id of ids) {
      const header = (await reader.line()).split(' ')
      const [found, type, size] = header
      if (found !== id || !isObjectType(type) || !/^[0-9]{1,15}$/.test(size ?? '')) throw missing(id, header)
      yield { id, type, size: Number(size), content: reader.bytes(Number(size)) }
      await reader.line()
    }
    await git.ended
  } finally {
    git.stop()
  }
}

function isObjectType(type: string | undefined): type is ObjectType {
  return type === 'commit' || type === 'tree' || type === 'blob' || type === 'tag'
}

function missing(id: string, header: readonly string[]): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', 'the repository lacks an object that it refers to', {
    item: id,
    likely: `the repository is damaged, or a partial copy (git: ${header.join(' ').slice(0, 100)})`,
    next: 'check it with `git fsck` in a clone',
  })
}

/** Lines and runs of bytes of a stream, one after the other. */
class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  /** The next line, without its line break. */
  async line(): Promise<string> {
    let line = ''
    for (;;) {
      const end = this.#rest.indexOf(10)
      if (end >= 0) {
        line += this.#rest.toString('latin1', 0, end)
        this.#rest = this.#rest.subarray(end + 1)
        return line
      }
      line += this.#rest.toString('latin1')
      if (line.length > 1000 || !(await this.#more())) return line
    }
  }

  async *bytes(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more())) return
      const part = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(part.length)
      left -= part.length
      yield part
    }
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#chunks.next()
    this.#rest = done ? Buffer.alloc(0) : value
    return !done
  }
}
