import { z } from 'zod'
import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'

/**
 * Lists of packages that several bundles have under the same path, as one: entries word for word, each once, in an order
 * that does not depend on the order of the bundles. undefined for a file that is no such list. Throws NAME_COLLISION where
 * two bundles have different content under the same name and version.
 */
export function mergeDocuments(path: string, texts: Buffer[]): Buffer | undefined {
  const rule = rules.find(({ name }) => name.test(path))
  return rule === undefined
    ? undefined
    : Buffer.from(
        rule.merge(
          path,
          texts.map(text => text.toString('utf8')),
        ),
      )
}

interface Entry {
  /** what it is: two entries with the same key are the same thing */
  key: string
  /** digest of the content that it names; '' where it names none */
  content: string
  text: string
}

const rules: readonly { name: RegExp; merge: (path: string, texts: string[]) => string }[] = [
  { name: /\/Packages$/, merge: (path, texts) => united(path, texts.map(stanzas)).join('\n') },
  // what upstream's Release said: of the newer bundle
  { name: /\/Release\.upstream$/, merge: (_, texts) => texts.at(-1) ?? '' },
  { name: /\/repodata\/(?:primary|filelists)\.xml$/, merge: mergeRpmLists },
  { name: /\/repodata\/comps\.xml$/, merge: mergeGroups },
  {
    name: /\/repodata\/modules\.yaml$/,
    merge: (path, texts) => united(path, texts.map(yamlDocuments)).join(''),
  },
  { name: /\/repository\.json$/, merge: (_, texts) => texts.at(-1) ?? '' },
  { name: /^\/pypi\/index\.json$/, merge: mergeDistributions },
]

/** Of all lists, each key once, sorted by key; the last one's text, as it is the newer bundle's. */
function united(path: string, lists: Entry[][]): string[] {
  const entries = new Map<string, Entry>()
  for (const entry of lists.flat()) {
    const other = entries.get(entry.key)
    if (other !== undefined && other.content !== entry.content) {
      throw new AirgapError(
        'NAME_COLLISION',
        'two bundles have different packages under the same name and version',
        {
          item: `${path}: ${entry.key.replaceAll('\u0000', ' ')}`,
          likely:
            'the package was rebuilt under its old version, or one of the bundles comes from another mirror',
          next: 'serve the newer bundle only',
        },
      )
    }
    entries.set(entry.key, entry)
  }
  return [...entries.values()].sort((a, b) => compareText(a.key, b.key)).map(entry => entry.text)
}

/** Debian's control format: stanzas apart by empty lines. */
function stanzas(text: string): Entry[] {
  return text
    .split(/\n{2,}/)
    .filter(stanza => stanza.trim() !== '')
    .map(stanza => {
      const field = (name: string) => new RegExp(`^${name}: *(.*)$`, 'im').exec(stanza)?.[1]?.trim() ?? ''
      return {
        key: ['Package', 'Version', 'Architecture'].map(field).join('\u0000'),
        content: field('SHA256'),
        text: `${stanza.replace(/\n+$/, '')}\n`,
      }
    })
}

/** A list of createrepo's: the element around counts its packages. `</package>` stands in no text, as `<` is escaped there. */
function mergeRpmLists(path: string, texts: string[]): string {
  const lists = texts.map(text => {
    const start = text.indexOf('<package ')
    const end = text.lastIndexOf('</package>') + '</package>'.length
    const body = start < 0 ? '' : text.slice(start, end)
    return {
      head: start < 0 ? text.replace(/<\/[a-z]+>\s*$/, '') : text.slice(0, start),
      tail: start < 0 ? (/<\/[a-z]+>\s*$/.exec(text)?.[0] ?? '') : text.slice(end),
      entries: [...body.matchAll(/<package [\s\S]*?<\/package>/g)].map(([element]) => rpmEntry(element)),
    }
  })
  const packages = united(
    path,
    lists.map(list => list.entries),
  )
  const { head = '', tail = '' } = lists.at(-1) ?? {}
  return `${head.replace(/ packages="[0-9]*"/, ` packages="${packages.length}"`)}${packages.join('\n')}${tail}`
}

function rpmEntry(element: string): Entry {
  const name =
    /<name>([^<]*)<\/name>/.exec(element)?.[1] ?? /^<package [^>]*\bname="([^"]*)"/.exec(element)?.[1] ?? ''
  const architecture =
    /<arch>([^<]*)<\/arch>/.exec(element)?.[1] ?? /^<package [^>]*\barch="([^"]*)"/.exec(element)?.[1] ?? ''
  const version = /<version ([^>]*?)\/?>/.exec(element)?.[1]?.trim() ?? ''
  const content =
    /<checksum [^>]*pkgid="YES"[^>]*>([0-9a-f]+)</.exec(element)?.[1] ??
    /^<package [^>]*\bpkgid="([0-9a-f]+)"/.exec(element)?.[1] ??
    ''
  return { key: [name, version, architecture].join('\u0000'), content, text: element }
}

function mergeGroups(path: string, texts: string[]): string {
  const entries = texts.map(text =>
    [...text.matchAll(/<(group|environment)>[\s\S]*?<\/\1>/g)].map(([element, kind]) => ({
      key: `${kind}\u0000${/<id>([^<]*)<\/id>/.exec(element)?.[1] ?? ''}`,
      content: '',
      text: element,
    })),
  )
  return `<?xml version="1.0" encoding="UTF-8"?>\n<comps>\n${united(path, entries).join('\n')}\n</comps>\n`
}

/** Each with its `---`. The text is the key: a stream that is there in two versions stays so. */
function yamlDocuments(text: string): Entry[] {
  return text
    .split(/^(?=---(?:\s|$))/m)
    .filter(document => document.trim() !== '')
    .map(document => {
      const whole = document.endsWith('\n') ? document : `${document}\n`
      return { key: whole, content: '', text: whole }
    })
}

/** index.json of the wheels. */
export const wheelIndexSchema = z.looseObject({
  files: z.array(
    z.looseObject({
      project: z.string(),
      version: z.string(),
      filename: z.string(),
      sha256: z.string(),
      size: z.number(),
      requiresPython: z.string().optional(),
      yanked: z.string().optional(),
      metadataSha256: z.string().optional(),
    }),
  ),
})

function mergeDistributions(path: string, texts: string[]): string {
  const entries = texts.map(text =>
    wheelIndexSchema.parse(JSON.parse(text)).files.map(file => ({
      key: [file.project, file.filename].join('\u0000'),
      content: file.sha256,
      text: canonicalJson(file),
    })),
  )
  return `{"files":[${united(path, entries).join(',')}]}\n`
}
