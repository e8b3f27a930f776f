import { Readable } from 'node:stream'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import { type Digest, Hasher } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'
import { networkError, statusError } from './network-errors.ts'
import { registryRefusal } from './oras-failure.ts'
import { ask, type RegistryContext } from './registry-request.ts'
import { backoffMs, withRetries } from './retry.ts'
import type { Endpoint } from './source-map.ts'
import { watchStall } from './stall.ts'
import type { SendRequest, SentResponse } from './transport.ts'

/** Adds content to one repository (distribution-spec 1.1, "Push"). */
export interface RegistryUpload {
  /** Returns whether the repository has the content already. */
  has(descriptor: Pick<Descriptor, 'digest' | 'size'>, as: 'blob' | 'manifest'): Promise<boolean>
  /**
   * Uploads a blob, and continues in the middle of it after a failure of the network. `open` returns a part of its bytes. Throws
   * DIGEST_MISMATCH before the upload is completed where the bytes do not have the digest, and what `open` throws.
   */
  blob(
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    options: { open: (range: ByteRange) => Promise<Readable>; signal: AbortSignal; progress: Progress },
  ): Promise<void>
  /** Puts a manifest under a tag or its digest; returns the subject that the registry lists it under, if it has the referrers API. */
  manifest(
    reference: string,
    content: { mediaType: string; bytes: Uint8Array },
  ): Promise<{ subject: string | undefined }>
}

/** A blob above this size is sent in parts of this size: what a failure costs at most. Storage services require at least 5 MiB. */
const partSize = 16 << 20 /* bytes */
/** A registry may hash the whole blob before it answers. */
const commitTimeoutMs = 15 * 60_000
const progressThatCounts = 1 << 20 /* bytes */
/** docker-registry forgets an upload whose part was cut off: the blob is sent again from its start. */
const maxRestarts = 30
const partTimeoutMs = 2 * 60_000
/** Statuses whose answers say why the registry refuses content; 429 and 503 may say when to try again, which `transport` observes. */
const refusals = [400, 403, 404, 405, 406, 409, 411, 412, 413, 415, 416, 422, 500, 501, 502, 504, 507]

export function registryUpload(endpoint: Endpoint, context: RegistryContext): RegistryUpload {
  const place: Place = { endpoint, context }
  const retrying = (signal?: AbortSignal) => context.transport.retrying(signal)
  return {
    has: (descriptor, as) => withRetries(() => hasContent(place, { ...descriptor, as }), retrying()),
    blob: (descriptor, options) => uploadBlob({ ...place, descriptor, ...options }),
    manifest: (reference, content) =>
      withRetries(async () => {
        const answer = await send(place, `manifests/${reference}`, {
          method: 'PUT',
          headers: { 'content-type': content.mediaType },
          body: content.bytes,
          answerTimeoutMs: commitTimeoutMs,
        })
        await expectStatus(place, answer, [201, 202])
        return { subject: answer.headers['oci-subject'] }
      }, retrying()),
  }
}

interface Place {
  endpoint: Endpoint
  context: RegistryContext
}

interface Upload extends Place {
  descriptor: Pick<Descriptor, 'digest' | 'size'>
  open: (range: ByteRange) => Promise<Readable>
  signal: AbortSignal
  progress: Progress
}

async function hasContent(
  { endpoint, context }: Place,
  { digest, size, as }: { digest: Digest; size: number; as: 'blob' | 'manifest' },
): Promise<boolean> {
  const answer = await ask(endpoint, `${as}s/${digest}`, {
    context,
    request: { method: 'HEAD', headers: { accept: '*/*' }, handles: [404] },
  })
  answer.body.destroy()
  // a registry whose storage was damaged states another size: the content is uploaded again
  const stated = answer.headers['content-length']
  return answer.status === 200 && (stated === undefined || Number(stated) === size)
}

/** An upload that the registry has begun. */
interface Session {
  url: string
  /** bytes that the registry has */
  offset: number
}

async function uploadBlob(upload: Upload): Promise<void> {
  const { descriptor, context, signal, progress } = upload
  const { retry, clock } = context.transport
  const sent = new SentBytes(upload)
  let session: Session | undefined
  let whole = descriptor.size <= partSize
  let restarts = 0
  for (let tries = 1; ; tries++) {
    const before = sent.total
    try {
      // a commit whose answer was lost has succeeded
      if (tries > 1 && (await hasContent(upload, { ...descriptor, as: 'blob' }))) return sent.finish()
      session = (session && (await resumed(upload, session))) ?? (await begin(upload))
      sent.startAt(session.offset)
      if (!whole && !(await sendParts(upload, { session, sent }))) {
        progress.note(`${upload.endpoint.host} does not accept blobs in parts: sending each in one request`)
        whole = true
        session = undefined
        tries--
        continue
      }
      return await commit(upload, { session, sent, whole })
    } catch (error) {
      signal.throwIfAborted()
      if (!isErrorCode(error, 'NETWORK')) throw error
      if (whole) session = undefined
      // a connection that breaks now and then still finishes; one that always breaks at the same byte does not
      if (sent.total - before >= progressThatCounts && ++restarts < maxRestarts) tries = 1
      if (tries >= retry.attempts) throw error
      progress.note(`${upload.endpoint.name}: ${error.message}; continuing with ${descriptor.digest}`)
      await clock.sleep(backoffMs(tries, retry, clock), signal)
    }
  }
}

async function begin(upload: Upload): Promise<Session> {
  const answer = await send(upload, 'blobs/uploads/', { method: 'POST', signal: upload.signal })
  await expectStatus(upload, answer, [202])
  return { url: locationOf(upload, answer), offset: 0 }
}

/** Returns how far the registry is; undefined where it no longer knows the upload, or does not say. */
async function resumed(upload: Upload, session: Session): Promise<Session | undefined> {
  const answer = await send(upload, session.url, { signal: upload.signal })
  answer.body.destroy()
  // `0-0` may be one byte or none
  const end = /^(?:bytes=)?0-([1-9]\d{0,14})$/.exec(answer.headers['range'] ?? '')?.[1]
  if (answer.status !== 204 || end === undefined) return undefined
  const offset = Number(end) + 1
  if (offset > upload.descriptor.size) return undefined
  return { url: answer.headers['location'] ? locationOf(upload, answer) : session.url, offset }
}

/** Returns false where the registry wants each blob in one request. */
async function sendParts(
  upload: Upload,
  { session, sent }: { session: Session; sent: SentBytes },
): Promise<boolean> {
  const { size } = upload.descriptor
  while (session.offset < size) {
    const end = Math.min(session.offset + partSize, size)
    const answer = await sent.send(session.url, {
      method: 'PATCH',
      range: { start: session.offset, end },
      headers: {
        'content-type': 'application/octet-stream',
        'content-range': `${session.offset}-${end - 1}`,
      },
    })
    const isLast = end === size
    if ([400, 404, 405, 411, 415, 416, 501].includes(answer.status) && !isLast) {
      answer.body.destroy()
      return false
    }
    await expectStatus(upload, answer, [202, 201, 204])
    session.url = locationOf(upload, answer)
    session.offset = end
  }
  return true
}

async function commit(
  upload: Upload,
  { session, sent, whole }: { session: Session; sent: SentBytes; whole: boolean },
): Promise<void> {
  const { descriptor } = upload
  const url = `${session.url}${session.url.includes('?') ? '&' : '?'}digest=${encodeURIComponent(descriptor.digest)}`
  if (whole) {
    const headers = { 'content-type': 'application/octet-stream' }
    const answer = await sent.send(url, { method: 'PUT', range: { start: 0, end: descriptor.size }, headers })
    await expectStatus(upload, answer, [201, 202, 204])
  } else {
    sent.check()
    const request = { method: 'PUT', answerTimeoutMs: commitTimeoutMs, signal: upload.signal } as const
    await expectStatus(upload, await send(upload, url, request), [201, 202, 204])
  }
  sent.finish()
}

/** What was sent of one blob: hashed once, however often a part of it is sent again. */
class SentBytes {
  readonly #upload: Upload
  readonly #hasher = new Hasher()
  #hashed = 0
  #total = 0
  /** of all bytes; they may be sent again */
  #digest: Digest | undefined
  /** bytes that the progress shows */
  #shown = 0

  constructor(upload: Upload) {
    this.#upload = upload
  }

  /** bytes that were sent, each as often as it was */
  get total(): number {
    return this.#total
  }

  startAt(offset: number): void {
    this.#show(offset)
  }

  finish(): void {
    this.#show(this.#upload.descriptor.size)
  }

  /** Throws DIGEST_MISMATCH unless all bytes were sent and have the digest. */
  check(): void {
    const { digest } = this.#upload.descriptor
    this.#digest ??= this.#hasher.digest()
    const found = this.#digest
    if (found === digest) return
    throw new AirgapError('DIGEST_MISMATCH', `the content has digest ${found}`, {
      item: digest,
      likely: 'the medium, or the copy, is damaged',
      next: 'copy it again',
    })
  }

  /** Sends a part. The last bytes of a body with another digest are never sent: the upload cannot be completed. */
  async send(
    url: string,
    part: { method: 'PUT' | 'PATCH'; range: ByteRange; headers: Record<string, string> },
  ): Promise<SentResponse> {
    const { signal, open, context, endpoint } = this.#upload
    const { range, method } = part
    const stop = new AbortController()
    const watch = watchStall(
      { destroy: error => stop.abort(error) },
      { ...context.transport.stall, item: endpoint.name },
    )
    const counted = this.#counted(await open(range), {
      start: range.start,
      isWhole: method === 'PUT',
      sent: bytes => watch.count(bytes),
      ended: () => watch.stop(),
    })
    const body = Readable.from(counted, { objectMode: false, highWaterMark: 1 << 20 })
    let failure: unknown
    body.on('error', error => {
      failure = error
    })
    try {
      return await send(this.#upload, url, {
        method,
        headers: { ...part.headers, 'content-length': String(range.end - range.start) },
        body,
        answerTimeoutMs: method === 'PUT' ? commitTimeoutMs : partTimeoutMs,
        signal: AbortSignal.any([signal, stop.signal]),
      })
    } catch (error) {
      signal.throwIfAborted()
      if (stop.signal.aborted) throw stop.signal.reason
      // an error of the bundle is the cause of what the transport reports
      if (failure instanceof AirgapError) throw failure
      throw networkError(error, endpoint.name)
    } finally {
      watch.stop()
      body.destroy()
    }
  }

  async *#counted(
    body: Readable,
    part: { start: number; isWhole: boolean; sent: (bytes: number) => void; ended: () => void },
  ): AsyncGenerator<Uint8Array> {
    const { size } = this.#upload.descriptor
    let position = part.start
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      const end = position + chunk.length
      if (end > this.#hashed) {
        this.#hasher.update(chunk.subarray(Math.max(0, this.#hashed - position)))
        this.#hashed = end
      }
      if (part.isWhole && end === size) this.check()
      yield chunk
      position = end
      this.#total += chunk.length
      part.sent(chunk.length)
      this.#show(position)
    }
    part.ended()
  }

  #show(bytes: number): void {
    this.#upload.progress.advance(bytes - this.#shown)
    this.#shown = bytes
  }
}

async function send({ endpoint, context }: Place, path: string, request: SendRequest): Promise<SentResponse> {
  return await ask(endpoint, path, { context, request: { ...request, handles: refusals } })
}

/** Throws what the registry says about it, unless the status is one of these. */
async function expectStatus(
  { endpoint }: Place,
  answer: SentResponse,
  statuses: readonly number[],
): Promise<void> {
  const { status } = answer
  if (statuses.includes(status)) {
    answer.body.destroy()
    return
  }
  const message = await textOf(answer.body)
  const refused = registryRefusal({ status, message, item: endpoint.name })
  // a failing registry is tried again unless it says what is wrong
  throw status >= 500 && status !== 501 && status !== 507 && refused.code === 'UNSUPPORTED'
    ? statusError(status, endpoint.name)
    : refused
}

async function textOf(body: Readable): Promise<string> {
  let text = ''
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString('latin1')
      if (text.length > 8192) break
    }
  } catch {
    // the status says enough
  }
  body.destroy()
  return text.slice(0, 8192)
}

/**
 * Returns where the upload continues. The password is for the registry only: an address of another host is refused (CVE-2020-15157 is the
 * same mistake in a pull). A registry behind a proxy that ends TLS may state http, or its own port.
 */
function locationOf({ endpoint }: Place, answer: SentResponse): string {
  const location = answer.headers['location'] ?? ''
  const base = new URL(`${endpoint.baseUrl}/v2/${endpoint.repository}/blobs/uploads/`)
  if (location !== '' && URL.canParse(location, base.href)) {
    const url = new URL(location, base)
    if (url.hostname === base.hostname) return `${base.origin}${url.pathname}${url.search}`
    throw new AirgapError('UPSTREAM', `the registry refers uploads to another host: ${url.host}`, {
      item: endpoint.name,
      likely: 'the registry is configured with another name than the one that was passed',
      next: `push to the registry by the name that it is configured with, or set that name to ${endpoint.host}`,
    })
  }
  throw new AirgapError('UPSTREAM_INVALID', 'the registry does not say where to upload', {
    item: endpoint.name,
    likely: 'it is not a registry, or something on the connection answers instead of it',
    next: `check it: \`curl -v ${endpoint.baseUrl}/v2/\` should answer 200 or 401`,
  })
}
