import { canonicalJson } from '../../core/canonical-json.ts'
import { spansOf } from '../../core/spans.ts'
import { type ListEntry, uniteLists } from '../united-lists.ts'
import { groupElements } from './comps.ts'

/** Unites createrepo's lists of two bundles; returns undefined for other files. */
export function mergeYumLists(path: string, texts: readonly Buffer[]): Buffer | undefined {
  const lists = texts.map(text => text.toString('utf8'))
  if (/\/repodata\/(?:primary|filelists)\.xml$/.test(path)) return Buffer.from(mergePackages(path, lists))
  if (path.endsWith('/repodata/comps.xml')) return Buffer.from(mergeGroups(path, lists))
  if (path.endsWith('/repodata/modules.yaml'))
    return Buffer.from(uniteLists(path, lists.map(yamlDocuments)).join(''))
  return path.endsWith('/repository.json') ? mergeSettings(texts) : undefined
}

/** Settings for dnf are those of the newer bundle; but packages that nobody signed stay so. */
function mergeSettings(texts: readonly Buffer[]): Buffer | undefined {
  const newest = texts.at(-1)
  const unsigned = (text: Buffer) => text.includes('"unsignedPackages":true')
  if (newest === undefined || unsigned(newest) || !texts.some(unsigned)) return newest
  return Buffer.from(canonicalJson({ ...JSON.parse(newest.toString('utf8')), unsignedPackages: true }))
}

/** The element around the packages counts them. `</package>` is in no text, as `<` is escaped there. */
function mergePackages(path: string, texts: readonly string[]): string {
  const lists = texts.map(text => {
    const start = text.indexOf('<package ')
    const end = text.lastIndexOf('</package>') + '</package>'.length
    const body = start < 0 ? '' : text.slice(start, end)
    return {
      head: start < 0 ? text.replace(/<\/[a-z]+>\s*$/, '') : text.slice(0, start),
      tail: start < 0 ? (/<\/[a-z]+>\s*$/.exec(text)?.[0] ?? '') : text.slice(end),
      entries: spansOf(body, { start: '<package ', end: '</package>' }).map(packageEntry),
    }
  })
  const packages = uniteLists(
    path,
    lists.map(list => list.entries),
  )
  const { head = '', tail = '' } = lists.at(-1) ?? {}
  return `${head.replace(/ packages="[0-9]*"/, ` packages="${packages.length}"`)}${packages.join('\n')}${tail}`
}

function packageEntry(element: string): ListEntry {
  const name =
    /<name>([^<]*)<\/name>/.exec(element)?.[1] ?? /^<package [^>]*\bname="([^"]*)"/.exec(element)?.[1] ?? ''
  const architecture =
    /<arch>([^<]*)<\/arch>/.exec(element)?.[1] ?? /^<package [^>]*\barch="([^"]*)"/.exec(element)?.[1] ?? ''
  const version = /<version ([^<>]*?)\/?>/.exec(element)?.[1]?.trim() ?? ''
  const content =
    /<checksum [^<>]*pkgid="YES"[^<>]*>([0-9a-f]+)</.exec(element)?.[1] ??
    /^<package [^>]*\bpkgid="([0-9a-f]+)"/.exec(element)?.[1] ??
    ''
  return { key: [name, version, architecture].join('\u0000'), content, text: element }
}

function mergeGroups(path: string, texts: readonly string[]): string {
  const entries = texts.map(text =>
    groupElements(text).map(({ kind, element }) => ({
      key: `${kind}\u0000${/<id>([^<]*)<\/id>/.exec(element)?.[1] ?? ''}`,
      content: '',
      text: element,
    })),
  )
  return `<?xml version="1.0" encoding="UTF-8"?>\n<comps>\n${uniteLists(path, entries).join('\n')}\n</comps>\n`
}

/** Each with its `---`. The text is the key: a stream that is there in two versions stays so. */
function yamlDocuments(text: string): ListEntry[] {
  return text
    .split(/^(?=---(?:\s|$))/m)
    .filter(document => document.trim() !== '')
    .map(document => {
      const whole = document.endsWith('\n') ? document : `${document}\n`
      return { key: whole, content: '', text: whole }
    })
}
