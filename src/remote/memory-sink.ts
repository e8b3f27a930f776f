import type { DownloadSink } from '../content/sink.ts'
import { Verifier } from '../content/verify.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'

/** Receives small content in memory, verified. */
export class MemorySink implements DownloadSink {
  readonly descriptor: Descriptor
  received = 0
  validator: string | undefined
  #chunks: Uint8Array[] = []

  constructor(descriptor: Descriptor, limit: number /* bytes */) {
    if (descriptor.size > limit) {
      const what = `the content has ${descriptor.size} bytes, more than the ${limit} that content of this kind may have`
      throw new AirgapError('UNSUPPORTED', what, {
        item: descriptor.digest,
        likely: 'the publisher made a mistake, or the content is not what it claims to be',
        next: 'report it to the publisher, or use another version',
      })
    }
    this.descriptor = descriptor
  }

  async write(chunk: Uint8Array): Promise<void> {
    // the caller may free the chunk once this returns
    this.#chunks.push(Buffer.from(chunk))
    this.received += chunk.length
  }

  async restart(validator?: string): Promise<void> {
    this.#chunks = []
    this.received = 0
    this.validator = validator
  }

  async finish(): Promise<void> {
    const verifier = new Verifier(this.descriptor)
    for (const chunk of this.#chunks) verifier.update(chunk)
    verifier.finish()
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks, this.received)
  }
}
