import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { type FileHash, fileHash } from './file-hash.ts'
import { isFileName } from './file-name.ts'
import { htmlLinks } from './html-links.ts'
import { PageLinks } from './page-links.ts'

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

/** A file as its page lists it: enough to tell whether a target could install it, as most of a page's files are for other ones. */
export interface ListedFile {
  filename: string
  requiresPython?: string | undefined
  direct?: true
  /** Returns undefined where its link is not to be followed. */
  read(): IndexFile | undefined
}

const maxFiles = 200_000

/**
 * Reads a project's page: JSON of PEP 691 or HTML of PEP 503, by its media type, or by its first character where it has another type or none.
 * `url` is the final address of the page, to which links are relative, and `namedBy` the one that answered. Throws UPSTREAM_INVALID.
 */
export function parseProjectPage(
  bytes: Uint8Array | string,
  { url, mediaType, namedBy }: { url: string; mediaType: string; namedBy?: string },
): ListedFile[] {
  const text = typeof bytes === 'string' ? bytes : decoded(bytes, mediaType)
  const page = defined({ url, namedBy })
  const files = isJson(text, mediaType) ? fromJson(text, page) : fromHtml(text, page)
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

const jsonSchema = z.object({ files: z.array(z.unknown()).nullish() })

interface PagePlace {
  url: string
  namedBy?: string
}

function fromJson(text: string, { url, namedBy }: PagePlace): ListedFile[] {
  let parsed: z.infer<typeof jsonSchema>
  try {
    parsed = jsonSchema.parse(JSON.parse(text))
  } catch (error) {
    throw invalid(url, 'its JSON is not that of PEP 691', error)
  }
  const links = new PageLinks({ page: url, base: url, namedBy })
  return (parsed.files ?? []).flatMap(given => (isRecord(given) ? listed(given, links) : []))
}

/**
 * What pip would ignore in a file's description is ignored: null, missing members, other types (pip's `Link.from_json`). Checked by hand: a
 * page has thousands of them, and a schema took half of the time of reading it.
 */
function listed(given: Record<string, unknown>, links: PageLinks): ListedFile | [] {
  const filename = textOf(given['filename'])
  // only its link names it
  if (filename === undefined) return asListed(fileOf(given, links))
  return {
    filename,
    requiresPython: textOf(given['requires-python']) || undefined,
    read: () => fileOf(given, links),
  }
}

function asListed(file: IndexFile | undefined): ListedFile | [] {
  if (file === undefined) return []
  return { filename: file.filename, requiresPython: file.requiresPython, read: () => file }
}

function fileOf(given: Record<string, unknown>, links: PageLinks): IndexFile | undefined {
  const { url, hashes, yanked, size } = given
  if (typeof url !== 'string') return undefined
  const metadata = metadataOf(given['core-metadata']) ?? metadataOf(given['dist-info-metadata'])
  return described(
    {
      filename: textOf(given['filename']),
      href: url,
      hashes: isRecord(hashes) ? hashesOf(hashes) : [],
      requiresPython: textOf(given['requires-python']),
      yanked: typeof yanked === 'string' && yanked !== '' ? yanked : yanked ? '' : undefined,
      metadata:
        metadata === undefined || metadata === false
          ? undefined
          : defined({ sha256: metadata === true ? undefined : sha256Of(metadata['sha256']) }),
      size: typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? size : undefined,
    },
    links,
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function metadataOf(value: unknown): boolean | Record<string, unknown> | undefined {
  return typeof value === 'boolean' || isRecord(value) ? value : undefined
}

function hashesOf(given: Record<string, unknown>): FileHash[] {
  return Object.entries(given).flatMap(([name, hex]) =>
    typeof hex === 'string' ? (fileHash(name, hex) ?? []) : [],
  )
}

function sha256Of(hex: unknown): string | undefined {
  return typeof hex === 'string' ? fileHash('sha256', hex)?.hex : undefined
}

function fromHtml(text: string, { url, namedBy }: PagePlace): ListedFile[] {
  const { baseHref, anchors } = htmlLinks(text)
  const base = baseHref !== undefined && URL.canParse(baseHref, url) ? new URL(baseHref, url).href : url
  const links = new PageLinks({ page: url, base, namedBy })
  return anchors.flatMap(attributes => {
    const href = attributes.get('href')
    if (!href) return []
    const metadata = attributes.get('data-core-metadata') ?? attributes.get('data-dist-info-metadata')
    return asListed(
      described(
        {
          filename: undefined,
          href,
          hashes: [],
          requiresPython: attributes.get('data-requires-python'),
          yanked: attributes.get('data-yanked'),
          metadata: htmlMetadata(metadata),
          size: undefined,
        },
        links,
      ),
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

function described({ href, filename, hashes, ...rest }: Written, links: PageLinks): IndexFile | undefined {
  const link = links.read(href)
  const name = filename ?? link?.filename
  if (link === undefined || name === undefined || !isFileName(name)) return undefined
  const { requiresPython, yanked, metadata, size } = rest
  const file: IndexFile = {
    filename: name,
    url: link.url,
    hashes: link.hashes.length === 0 ? hashes : [...hashes, ...link.hashes],
  }
  if (requiresPython) file.requiresPython = requiresPython
  if (yanked !== undefined) file.yanked = yanked
  if (metadata !== undefined) file.metadata = metadata
  if (size !== undefined) file.size = size
  if (links.namedBy !== undefined) file.namedBy = links.namedBy
  return file
}

function invalid(url: string, why: string, cause?: unknown): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the page of a package index cannot be read: ${why}`, {
    item: redactUrl(url),
    likely: 'the address is not that of a package index (PEP 503)',
    next: 'correct `indexes:` in the manifest; PyPI’s is https://pypi.org/simple/',
    cause,
  })
}
