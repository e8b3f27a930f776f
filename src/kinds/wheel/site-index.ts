import { z } from 'zod'
import { canonicalJson, compareText } from '../../core/canonical-json.ts'
import { AirgapError } from '../../core/errors.ts'
import { withoutTrailing } from '../../core/trim.ts'
import { isFileName } from './file-name.ts'

/** index.json of the `pypi` tree. */
const indexSchema = z.looseObject({
  files: z.array(
    z.looseObject({
      // names become URLs, and a lone surrogate has none
      project: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,250}$/),
      version: z.string(),
      filename: z.string().refine(isFileName),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      size: z.number(),
      requiresPython: z.string().optional(),
      yanked: z.string().optional(),
      metadataSha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .optional(),
    }),
  ),
})
type Distribution = z.infer<typeof indexSchema>['files'][number]

/** A page in the forms that PEP 691 names; the first is for clients that prefer none. */
export interface IndexPage {
  mediaType: string
  text: string
}

/**
 * Generates the pages of a Python package index (PEP 503 in HTML, PEP 691 in JSON, PEP 658 metadata, PEP 592 yanked) from
 * index.json of the `pypi` tree: path below /pypi (`simple`, `simple/PROJECT`) → page. Links are relative, so that the index answers under any
 * name of the site. Throws BUNDLE_CORRUPT.
 */
export function siteIndex(indexJson: Buffer): Map<string, IndexPage[]> {
  const projects = new Map<string, Distribution[]>()
  for (const file of readIndex(indexJson)) {
    const others = projects.get(file.project)
    if (others === undefined) projects.set(file.project, [file])
    else others.push(file)
  }
  const names = [...projects.keys()].sort(compareText)
  const pages = new Map([['simple', rootPage(names)]])
  for (const [name, files] of projects) {
    files.sort((a, b) => compareText(a.filename, b.filename))
    pages.set(`simple/${name}`, projectPage(name, files))
  }
  return pages
}

/** Throws BUNDLE_CORRUPT. */
export function readIndex(bytes: Buffer): Distribution[] {
  try {
    return indexSchema.parse(JSON.parse(bytes.toString('utf8'))).files
  } catch (error) {
    throw new AirgapError('BUNDLE_CORRUPT', 'the index of Python packages cannot be read', {
      item: 'pypi/index.json',
      likely: 'the bundle was made by another tool or version',
      next: 'serve it with the version that made it',
      cause: error,
    })
  }
}

const meta = { 'api-version': '1.1' }

function rootPage(names: string[]): IndexPage[] {
  return page(
    { title: 'Simple index', links: names.map(name => `<a href="${html(name)}/">${html(name)}</a>`) },
    { meta, projects: names.map(name => ({ name })) },
  )
}

function projectPage(name: string, files: Distribution[]): IndexPage[] {
  const links = files.map(file => {
    const attributes = [
      `href="${html(`${urlOf(file)}#sha256=${file.sha256}`)}"`,
      ...(file.requiresPython === undefined ? [] : [`data-requires-python="${html(file.requiresPython)}"`]),
      ...(file.yanked === undefined ? [] : [`data-yanked="${html(file.yanked)}"`]),
      // PEP 714: the old name for pip before 23.3
      ...(file.metadataSha256 === undefined
        ? []
        : ['core-metadata', 'dist-info-metadata'].map(key => `data-${key}="sha256=${file.metadataSha256}"`)),
    ]
    return `<a ${attributes.join(' ')}>${html(file.filename)}</a>`
  })
  const versions = [...new Set(files.map(file => file.version))]
  return page({ title: `Links for ${name}`, links }, { meta, name, versions, files: files.map(jsonFile) })
}

function jsonFile(file: Distribution): Record<string, unknown> {
  const metadata = file.metadataSha256 === undefined ? undefined : { sha256: file.metadataSha256 }
  return {
    filename: file.filename,
    url: urlOf(file),
    hashes: { sha256: file.sha256 },
    size: file.size,
    ...(file.requiresPython === undefined ? {} : { 'requires-python': file.requiresPython }),
    ...(file.yanked === undefined ? {} : { yanked: file.yanked || true }),
    // not `dist-info-metadata`: pip 22.3 to 23.0 (Debian 12's own) crashes on it in JSON, which is why PEP 714 renamed it
    ...(metadata === undefined ? {} : { 'core-metadata': metadata }),
  }
}

/** From /pypi/simple/PROJECT/ to /pypi/PROJECT/FILE. */
function urlOf({ project, filename }: Distribution): string {
  return `../../${encodeURIComponent(project)}/${encodeURIComponent(filename)}`
}

function page(document: { title: string; links: string[] }, json: object): IndexPage[] {
  const text = `${[
    '<!DOCTYPE html>',
    '<html>',
    `<head><meta name="pypi:repository-version" content="1.1"><title>${html(document.title)}</title></head>`,
    '<body>',
    ...document.links.map(link => `${link}<br>`),
    '</body>',
    '</html>',
  ].join('\n')}\n`
  return [
    { mediaType: 'text/html; charset=utf-8', text },
    { mediaType: 'application/vnd.pypi.simple.v1+html; charset=utf-8', text },
    { mediaType: 'application/vnd.pypi.simple.v1+json', text: `${canonicalJson(json)}\n` },
  ]
}

function html(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** pip.conf for a machine: its user's and its own pip read /etc/pip.conf. `caFile` is the path of the site's CA there. */
export function pipConf(baseUrl: string, caFile?: string): string {
  const { host, protocol } = new URL(baseUrl)
  const lines = ['[global]', `index-url = ${withoutTrailing(baseUrl, '/')}/pypi/simple/`]
  // `trusted-host` would switch off the check of a certificate
  if (protocol === 'http:')
    lines.push(
      '# pip takes plain HTTP from named hosts only; each file is checked against its sha256',
      `trusted-host = ${host}`,
    )
  if (caFile !== undefined)
    lines.push('# replaces the CAs of pip: it uses this index alone', `cert = ${caFile}`)
  return [...lines, ''].join('\n')
}
