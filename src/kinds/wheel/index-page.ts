import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { reachOfHostname } from '../../remote/addresses.ts'

/** A file of a project in an index. */
export interface IndexFile {
  filename: string
  url: string
  /** hex */
  sha256?: string
  /** a specifier, as written */
  requiresPython?: string
  /** its reason, perhaps empty (PEP 592) */
  yanked?: string
  /** the index serves its metadata separately (PEP 658); with or without a digest */
  metadata?: { sha256?: string }
  /** bytes, where the index gives it */
  size?: number
}

const maxFiles = 200_000

/** Reads a project's page: JSON of PEP 691 or HTML of PEP 503, by its media type. `url` is the page's own. Throws UPSTREAM_INVALID. */
export function parseProjectPage(
  text: string,
  { url, mediaType }: { url: string; mediaType: string },
): IndexFile[] {
  const files = /json/i.test(mediaType) ? fromJson(text, url) : fromHtml(text, url)
  if (files.length > maxFiles) throw invalid(url, 'it lists too many files')
  return files
}

const hashesSchema = z.record(z.string(), z.string()).catch({})
const jsonSchema = z.object({
  files: z.array(
    z.object({
      filename: z.string(),
      url: z.string(),
      hashes: hashesSchema,
      'requires-python': z.string().nullish(),
      yanked: z.union([z.boolean(), z.string()]).optional(),
      size: z.number().int().nonnegative().optional(),
      'core-metadata': z.union([z.boolean(), hashesSchema]).optional(),
      'dist-info-metadata': z.union([z.boolean(), hashesSchema]).optional(),
    }),
  ),
})

function fromJson(text: string, url: string): IndexFile[] {
  let parsed: z.infer<typeof jsonSchema>
  try {
    parsed = jsonSchema.parse(JSON.parse(text))
  } catch (error) {
    throw invalid(url, 'its JSON is not that of PEP 691', error)
  }
  return parsed.files.flatMap(file => {
    const { yanked, size } = file
    const metadata = file['core-metadata'] ?? file['dist-info-metadata']
    const digest = typeof metadata === 'object' ? metadata['sha256'] : undefined
    return described(
      {
        filename: file.filename,
        href: file.url,
        sha256: file.hashes['sha256'],
        requiresPython: file['requires-python'] ?? undefined,
        yanked: yanked === true ? '' : yanked === false ? undefined : yanked,
        metadata:
          metadata === undefined || metadata === false
            ? undefined
            : { ...(digest ? { sha256: digest } : {}) },
        size,
      },
      url,
    )
  })
}

/** Reads anchors and their attributes, and ignores the rest. Every part ends where the next begins, so it takes linear time. */
const anchor = /<a\s([^<>]{0,8192})>([^<]{0,1024})<\/a\s*>/gi
const attribute = /([a-z][a-z0-9-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')|([a-z][a-z0-9-]*)/gi

function fromHtml(text: string, url: string): IndexFile[] {
  const files: IndexFile[] = []
  for (const [, written = '', title = ''] of text.matchAll(anchor)) {
    const attributes = new Map<string, string>()
    for (const [, name, double, single, bare] of written.matchAll(attribute))
      attributes.set((name ?? bare)!.toLowerCase(), unescaped(double ?? single ?? ''))
    const href = attributes.get('href')
    if (href === undefined) continue
    const metadata = attributes.get('data-core-metadata') ?? attributes.get('data-dist-info-metadata')
    const fragment = /#(.*)$/.exec(href)?.[1] ?? ''
    files.push(
      ...described(
        {
          filename: unescaped(title).trim(),
          href: href.replace(/#.*$/, ''),
          sha256: /(?:^|&)sha256=([0-9a-fA-F]{64})/.exec(fragment)?.[1],
          requiresPython: attributes.get('data-requires-python'),
          yanked: attributes.get('data-yanked'),
          metadata:
            metadata === undefined
              ? undefined
              : { ...(/^sha256=[0-9a-f]{64}$/.test(metadata) ? { sha256: metadata.slice(7) } : {}) },
          size: undefined,
        },
        url,
      ),
    )
  }
  return files
}

interface Written {
  filename: string
  href: string
  sha256: string | undefined
  requiresPython: string | undefined
  yanked: string | undefined
  metadata: { sha256?: string } | undefined
  size: number | undefined
}

/**
 * Files may be on another host, as PyPI's are; their digests are on the page. A link with another scheme, or from https down to
 * http, is ignored (fault 53), and so is one from a public index to this host or a private network, and a name that could be a path.
 */
function described({ href, filename, ...rest }: Written, page: string): IndexFile[] {
  if (!URL.canParse(href, page)) return []
  const url = new URL(href, page)
  const from = new URL(page)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && from.protocol === 'http:')) return []
  if (url.host !== from.host && reach(url) > reach(from)) return []
  if (!/^[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}$/.test(filename) || url.username !== '' || url.password !== '')
    return []
  const { sha256, requiresPython, yanked, metadata, size } = rest
  return [
    {
      filename,
      url: url.href,
      ...(sha256 === undefined || !/^[0-9a-fA-F]{64}$/.test(sha256) ? {} : { sha256: sha256.toLowerCase() }),
      ...(requiresPython ? { requiresPython } : {}),
      ...defined({ yanked, metadata, size }),
    },
  ]
}

/** How near a host is: a page may link only to hosts that are as far away as itself, or farther. */
function reach({ hostname }: URL): number {
  return ['public', 'private', 'local'].indexOf(reachOfHostname(hostname) ?? 'public')
}

function unescaped(text: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
  return text.replace(/&(?:#(\d{1,6})|#x([0-9a-f]{1,6})|([a-z]{2,6}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return Object.hasOwn(named, name) ? named[name]! : whole
    const code = Number.parseInt(decimal ?? hex, decimal === undefined ? 16 : 10)
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}

function invalid(url: string, why: string, cause?: unknown): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the page of a package index cannot be read: ${why}`, {
    item: redactUrl(url),
    likely: 'the address is not that of a package index (PEP 503)',
    next: 'correct `indexes:` in the manifest; PyPI’s is https://pypi.org/simple/',
    cause,
  })
}
