import { constants } from 'node:fs'
import { chmod, type FileHandle, open, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import { errnoOf, fromSystemError } from '../core/errors.ts'
import { type ErrorData, errorData, errorOf } from './process-messages.ts'

/** One line of JSON each way, on a connection of its own. */
interface Request {
  what: string
  value: unknown
}
type Answer = { value: unknown } | { error: ErrorData }

/** Answers one kind of request. Thrown errors reach the process that sent it. */
export type ControlAnswer = (value: unknown) => Promise<unknown>

/** open(2) O_PATH, which node:fs does not name */
const openPath = 0o10000000
/** of a request */
const maxLine = 1 << 20 /* bytes */
/** of an answer, which may list thousands of names */
const maxAnswer = 64 << 20 /* bytes */

/**
 * Answers requests of other programs on this machine at a Unix socket (mode 0600), each by its name. The caller holds a lock: a socket that is
 * there already was left by a process that was killed. Throws system errors where the file system has no sockets (FAT).
 */
export async function listenForControl(
  path: string,
  answers: Readonly<Record<string, ControlAnswer>>,
): Promise<{ close(): Promise<void> }> {
  const server = createServer({ allowHalfOpen: true }, connection => void answerOne(connection, answers))
  await rm(path, { force: true })
  const folder = await open(dirname(path), 'r')
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(shortPath(folder, path), () => resolve())
    })
    await chmod(path, 0o600)
  } catch (error) {
    server.close()
    await folder.close()
    throw fromSystemError(error, path)
  }
  return {
    async close() {
      // removes the socket, too
      await new Promise<void>(resolve => server.close(() => resolve()))
      await folder.close()
    },
  }
}

/**
 * Sends a request to the process that listens at the socket. Returns its answer; undefined where no process does. Throws the AirgapError that it
 * answers with, IO where it ends before, and the reason of `signal`.
 */
export async function requestControl(
  path: string,
  { what, value = null }: { what: string; value?: unknown },
  signal: AbortSignal,
): Promise<{ value: unknown } | undefined> {
  const socket = await open(path, openPath | constants.O_NOFOLLOW).catch(error => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  })
  if (socket === undefined) return undefined
  try {
    // of servers with a user of their own, the folder is theirs: a link could lead root to any other socket
    if (!(await socket.stat()).isSocket()) return undefined
    const connection = connect({ path: `/proc/self/fd/${socket.fd}`, signal })
    connection.end(`${JSON.stringify({ what, value } satisfies Request)}\n`)
    const answer = JSON.parse(await lineFrom(connection, maxAnswer)) as Answer
    if ('error' in answer) throw errorOf(answer.error)
    return answer
  } catch (error) {
    signal.throwIfAborted()
    if (['ENOENT', 'ECONNREFUSED', 'ENOTSOCK'].includes(errnoOf(error) ?? '')) return undefined
    throw fromSystemError(error, path)
  } finally {
    await socket.close()
  }
}

/** The name of a socket has at most 107 bytes (unix(7)), and a state folder may have more: it is reached through its open descriptor. */
function shortPath(folder: FileHandle, path: string): string {
  return Buffer.byteLength(path) < 100 ? path : `/proc/self/fd/${folder.fd}/${basename(path)}`
}

async function answerOne(
  connection: Socket,
  answers: Readonly<Record<string, ControlAnswer>>,
): Promise<void> {
  try {
    const { what, value } = JSON.parse(await lineFrom(connection, maxLine)) as Request
    const answer = Object.hasOwn(answers, what) ? answers[what] : undefined
    if (answer === undefined) throw new Error(`unknown request ${what}`)
    send(connection, { value: await answer(value) })
  } catch (error) {
    send(connection, { error: errorData(error) })
  }
}

function send(connection: Socket, answer: Answer): void {
  // the program that asked may have ended
  connection.once('error', () => {})
  connection.end(`${JSON.stringify(answer)}\n`)
}

async function lineFrom(connection: Socket, longest: number): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of connection.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    parts.push(part)
    size += part.length
    if (part.includes('\n')) return Buffer.concat(parts).toString('utf8')
    if (size > longest) break
  }
  throw new Error('the other end sent no complete line')
}
