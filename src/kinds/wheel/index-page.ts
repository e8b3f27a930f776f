import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { leadsCloser } from '../../remote/addresses.ts'
import { type FileHash, fileHash, fragmentHashes } from './file-hash.ts'
import { fileNameOf, isFileName } from './file-name.ts'
import { htmlLinks } from './html-links.ts'

/** A file of a project in an index. */
export interface IndexFile {
  filename: string
  /** without its fragment */
  url: string
  hashes: readonly FileHash[]
  /** a specifier, as written */
  requiresPython?: string
  /** its reason, perhaps empty (PEP 592) */
  yanked?: string
  /** the index serves its metadata separately (PEP 658); with or without a digest */
  metadata?: { sha256?: string }
  /** bytes, where the index states it */
  size?: number
  /** the page that links to it, as it was answered; requests must not lead closer to this machine than its server is */
  namedBy?: string
  /** named by a requirement with its URL, not found in an index (PEP 508) */
  direct?: true
}

const maxFiles = 200_000

/**
 * Reads a project's page: JSON of PEP 691 or HTML of PEP 503, by its media type, or by its first character where it has another type or none.
 * `url` is the final address of the page, to which links are relative. Throws UPSTREAM_INVALID.
 */
export function parseProjectPage(
  bytes: Uint8Array | string,
  { url, mediaType }: { url: string; mediaType: string },
): IndexFile[] {
  const text = typeof bytes === 'string' ? bytes : decoded(bytes, mediaType)
  const files = isJson(text, mediaType) ? fromJson(text, url) : fromHtml(text, url)
  if (files.length > maxFiles) throw invalid(url, 'it lists too many files')
  return files
}

function isJson(text: string, mediaType: string): boolean {
  if (/json/i.test(mediaType)) return true
  return !/html/i.test(mediaType) && text.trimStart().startsWith('{')
}

function decoded(bytes: Uint8Array, mediaType: string): string {
  const label = /;\s*charset\s*=\s*"?([\w.:-]+)/i.exec(mediaType)?.[1] ?? 'utf-8'
  try {
    return new TextDecoder(label).decode(bytes)
  } catch {
    return new TextDecoder().decode(bytes)
  }
}

/** What pip would ignore in a file's description is ignored: null, missing members, other types (pip's `Link.from_json`). */
const text = z.string().optional().catch(undefined)
const hashesSchema = z.record(z.string(), z.unknown()).catch({})
const metadataSchema = z
  .union([z.boolean(), z.record(z.string(), z.unknown())])
  .optional()
  .catch(undefined)
const fileSchema = z.object({
  filename: text,
  url: text,
  hashes: hashesSchema,
  'requires-python': text,
  yanked: z.unknown().optional(),
  size: z.number().int().nonnegative().optional().catch(undefined),
  'core-metadata': metadataSchema,
  'dist-info-metadata': metadataSchema,
})
const jsonSchema = z.object({ files: z.array(z.unknown()).nullish() })

function fromJson(text: string, url: string): IndexFile[] {
  let parsed: z.infer<typeof jsonSchema>
  try {
    parsed = jsonSchema.parse(JSON.parse(text))
  } catch (error) {
    throw invalid(url, 'its JSON is not that of PEP 691', error)
  }
  return (parsed.files ?? []).flatMap(given => {
    const { success, data: file } = fileSchema.safeParse(given)
    if (!success || file.url === undefined) return []
    const { yanked, size } = file
    const metadata = file['core-metadata'] ?? file['dist-info-metadata']
    return described(
      {
        filename: file.filename,
        href: file.url,
        hashes: hashesOf(file.hashes),
        requiresPython: file['requires-python'],
        yanked: typeof yanked === 'string' && yanked !== '' ? yanked : yanked ? '' : undefined,
        metadata:
          metadata === undefined || metadata === false
            ? undefined
            : defined({ sha256: typeof metadata === 'object' ? sha256Of(metadata['sha256']) : undefined }),
        size,
      },
      { page: url, base: url },
    )
  })
}

function hashesOf(given: Record<string, unknown>): FileHash[] {
  return Object.entries(given).flatMap(([name, hex]) =>
    typeof hex === 'string' ? (fileHash(name, hex) ?? []) : [],
  )
}

function sha256Of(hex: unknown): string | undefined {
  return typeof hex === 'string' ? fileHash('sha256', hex)?.hex : undefined
}

function fromHtml(text: string, url: string): IndexFile[] {
  const { baseHref, anchors } = htmlLinks(text)
  const base = baseHref !== undefined && URL.canParse(baseHref, url) ? new URL(baseHref, url).href : url
  return anchors.flatMap(attributes => {
    const href = attributes.get('href')
    if (!href) return []
    return described(
      {
        filename: undefined,
        href,
        hashes: [],
        requiresPython: attributes.get('data-requires-python'),
        yanked: attributes.get('data-yanked'),
        metadata: htmlMetadata(
          attributes.get('data-core-metadata') ?? attributes.get('data-dist-info-metadata'),
        ),
        size: undefined,
      },
      { page: url, base },
    )
  })
}

/** `true`, or a hash; anything else is as if it were absent. */
function htmlMetadata(written: string | undefined): { sha256?: string } | undefined {
  if (written === undefined || (written !== 'true' && !written.includes('='))) return undefined
  return defined({ sha256: written.startsWith('sha256=') ? sha256Of(written.slice(7)) : undefined })
}

interface Written {
  /** undefined: the last part of the link's path, which is what pip goes by; the text of a link may be shortened */
  filename: string | undefined
  href: string
  hashes: FileHash[]
  requiresPython: string | undefined
  yanked: string | undefined
  metadata: { sha256?: string } | undefined
  size: number | undefined
}

/**
 * Files may be on another host, as PyPI's are; their digests are on the page. A link with another scheme, or from https down to
 * http, is ignored (fault 53), and so is one from a public index to this host or a private network, and a name that could be a path.
 */
function described(
  { href, filename, hashes, ...rest }: Written,
  { page, base }: { page: string; base: string },
): IndexFile[] {
  if (!URL.canParse(href, base)) return []
  const url = new URL(href, base)
  const from = new URL(page)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && from.protocol === 'http:')) return []
  if (leadsCloser(url, { from })) return []
  const name = filename ?? fileNameOf(url)
  if (!isFileName(name) || url.username !== '' || url.password !== '') return []
  const inLink = fragmentHashes(url.hash.slice(1))
  url.hash = ''
  const { requiresPython, yanked, metadata, size } = rest
  return [
    {
      filename: name,
      url: url.href,
      hashes: [...hashes, ...inLink],
      ...(requiresPython ? { requiresPython } : {}),
      ...defined({ yanked, metadata, size }),
    },
  ]
}

function invalid(url: string, why: string, cause?: unknown): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the page of a package index cannot be read: ${why}`, {
    item: redactUrl(url),
    likely: 'the address is not that of a package index (PEP 503)',
    next: 'correct `indexes:` in the manifest; PyPI’s is https://pypi.org/simple/',
    cause,
  })
}
