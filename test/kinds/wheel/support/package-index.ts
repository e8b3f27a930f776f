import { digestOf, hexOf } from '../../../../src/core/digest.ts'
import type { WheelRequest } from '../../../../src/kinds/wheel/entry.ts'
import { resolveWheels } from '../../../../src/kinds/wheel/resolve.ts'
import { startUpstream, type Upstream } from '../../../remote/support/upstream.ts'
import { testContext } from '../../support/context.ts'
import { metadataOf, type ServedFile } from './wheel-file.ts'

export { metadataOf, type Release, type ServedFile, wheelFile } from './wheel-file.ts'

export interface Shape {
  format?: 'html' | 'json'
  /** metadata apart, true as far as a file says nothing else */
  apart?: boolean
  /** the page says nothing of Pythons */
  silent?: boolean
}

/** A package index on loopback. Ranges are answered, the last bytes of a file too. */
export async function startIndex(files: readonly ServedFile[], shape: Shape = {}): Promise<Upstream> {
  const { format = 'html', apart = true, silent = false } = shape
  const described = files.map(file => ({
    ...file,
    path: `/files/${file.filename}`,
    digest: file.sha256 ?? hexOf(digestOf(file.bytes)),
    apart: file.metadata ?? (apart && file.filename.endsWith('.whl') ? metadataOf(file.release) : undefined),
  }))
  return await startUpstream((request, response) => {
    const path = request.url ?? ''
    const own = described.filter(file => path === `/simple/${file.project}/`)
    if (own.length > 0 && format === 'json') {
      response.setHeader('content-type', 'application/vnd.pypi.simple.v1+json')
      const listed = own.map(({ filename, path: url, digest, release, apart: metadata }) => ({
        filename,
        url: `../..${url}`,
        hashes: digest === '' ? {} : { sha256: digest },
        'requires-python': release.requiresPython ?? null,
        yanked: release.yanked ?? false,
        'core-metadata': metadata === undefined ? false : { sha256: hexOf(digestOf(metadata)) },
      }))
      const { project } = own[0]!
      return void response.end(
        JSON.stringify({ meta: { 'api-version': '1.1' }, name: project, files: listed }),
      )
    }
    if (own.length > 0) {
      response.setHeader('content-type', 'text/html; charset=UTF-8')
      const anchors = own.map(({ filename, path: url, digest, release, apart: metadata }) => {
        const said = [
          silent || release.requiresPython === undefined
            ? ''
            : ` data-requires-python="${escaped(release.requiresPython)}"`,
          release.yanked === undefined ? '' : ` data-yanked="${escaped(release.yanked)}"`,
          metadata === undefined ? '' : ` data-core-metadata="sha256=${hexOf(digestOf(metadata))}"`,
        ]
        const href = `../..${url}${digest === '' ? '' : `#sha256=${digest}`}`
        return `    <a href="${href}"${said.join('')} >${filename}</a><br />`
      })
      return void response.end(
        `<!DOCTYPE html>\n<html><head><title>Links</title></head><body>\n${anchors.join('\n')}\n</body></html>\n`,
      )
    }
    for (const file of described) {
      if (path === `${file.path}.metadata` && file.apart !== undefined) return void response.end(file.apart)
      if (path !== file.path) continue
      return serveRange(request.headers.range, { response, bytes: file.bytes, method: request.method })
    }
    response.writeHead(404).end()
  })
}

type Response = Parameters<Parameters<typeof startUpstream>[0]>[1]

function serveRange(
  range: string | undefined,
  { response, bytes, method }: { response: Response; bytes: Buffer; method: string | undefined },
): void {
  const body = (part: Buffer) => (method === 'HEAD' ? undefined : part)
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? []
  if (range === undefined || (first === '' && last === '')) {
    response.writeHead(200, { 'content-length': bytes.length })
    return void response.end(body(bytes))
  }
  const start = first === '' ? Math.max(0, bytes.length - Number(last)) : Number(first)
  const end = first === '' || last === '' ? bytes.length : Math.min(bytes.length, Number(last) + 1)
  response.writeHead(206, {
    'content-length': end - start,
    'content-range': `bytes ${start}-${end - 1}/${bytes.length}`,
  })
  response.end(body(bytes.subarray(start, end)))
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

export function wheelRequest(
  origin: string,
  change: Partial<WheelRequest> & { packages: string[] },
): WheelRequest {
  const { packages, ...rest } = change
  return {
    at: 'stack.yaml:5:5',
    name: 'x',
    indexes: [{ url: `${origin}/simple/` }],
    pythons: ['3.11'],
    platforms: ['manylinux_2_28_x86_64'],
    requirements: packages.map((text, i) => ({ text, at: `requirements.txt:${i + 1}` })),
    constraints: [],
    sdists: [],
    prereleases: false,
    ...rest,
  }
}

/** `name version` of what is chosen, sorted. */
export async function chosen(
  upstream: Upstream,
  change: Partial<WheelRequest> & { packages: string[] },
): Promise<string[]> {
  const locked = await resolveWheels(wheelRequest(upstream.origin, change), await testContext())
  return locked.distributions.map(one => `${one.project} ${one.version}`)
}
