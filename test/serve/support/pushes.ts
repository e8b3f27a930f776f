import { expect } from 'vitest'
import { canonicalJson } from '../../../src/core/canonical-json.ts'
import { digestOf } from '../../../src/core/digest.ts'
import { mediaTypes } from '../../../src/core/media-types.ts'

interface Sent {
  method: string
  body?: Uint8Array | string
  headers?: Record<string, string>
}

/** Sends a request; the answer with its body as text. */
export async function send(
  { origin }: { origin: string },
  path: string,
  { method, body, headers = {} }: Sent,
) {
  const answer = await fetch(`${origin}${path}`, {
    method,
    headers,
    ...(body && { body: Buffer.from(body) }),
  })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

export function codesOf(text: string): string[] {
  return (JSON.parse(text) as { errors: { code: string }[] }).errors.map(({ code }) => code)
}

export async function pushBlob(
  running: { origin: string },
  name: string,
  bytes: Uint8Array,
): Promise<string> {
  const digest = digestOf(bytes)
  const got = await send(running, `/v2/${name}/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body: bytes,
    headers: { 'content-type': mediaTypes.octets },
  })
  expect([got.status, got.headers.get('location')]).toEqual([201, `/v2/${name}/blobs/${digest}`])
  return digest
}

export function imageOver(config: Uint8Array, layers: readonly Uint8Array[], more: object = {}): Buffer {
  const describe = (mediaType: string, bytes: Uint8Array) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  })
  return Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: describe(mediaTypes.ociConfig, config),
      layers: layers.map(layer => describe('application/vnd.oci.image.layer.v1.tar', layer)),
      ...more,
    }),
  )
}

export async function pushManifest(
  running: { origin: string },
  path: string,
  bytes: Uint8Array,
  type: string = mediaTypes.ociManifest,
) {
  return await send(running, path, { method: 'PUT', body: bytes, headers: { 'content-type': type } })
}
