import { compareText } from '../core/canonical-json.ts'
import type { UsedImage } from './pair.ts'
import { type ImageReport, repositoryOf } from './report.ts'

/** One change to an image list. `from` alone: taken out; `to` alone: added; both: another version in its place. */
export interface ListChange {
  /** path of the list */
  list: string
  from?: string
  to?: string
}

export interface UpdatedLists {
  changes: ListChange[]
  /** path → its new text */
  texts: Map<string, string>
  /** what no list was found for, or what does not stand in a list */
  byHand: string[]
  /** how many findings are none any more */
  mended: number
}

/**
 * The lists as releases want them: another version takes the place of the one that nothing uses; a new image goes to the list
 * whose images the same releases use; what nothing uses is taken out where `remove` says so. Comments and order stay.
 */
export function updatedLists(
  report: ImageReport,
  options: { /** path → text */ lists: ReadonlyMap<string, string>; remove: boolean },
): UpdatedLists {
  const lines = new Map([...options.lists].map(([path, text]) => [path, text.split('\n')]))
  const changes: ListChange[] = []
  const byHand: string[] = []
  const unused = report.unused.filter(({ at }) => lines.has(placeOf(at).path))
  if (options.remove)
    byHand.push(...report.unused.filter(one => !unused.includes(one)).map(one => one.reference))

  let mended = 0

  for (const upstream of new Set(report.unlisted.map(image => image.upstream))) {
    const uses = report.unlisted.filter(image => image.upstream === upstream)
    const old = unused.findIndex(({ reference }) => repositoryOf(reference) === repositoryOf(upstream))
    if (old >= 0) {
      const [{ reference, at }] = unused.splice(old, 1) as [(typeof unused)[0]]
      replaceEntry(lines, at, upstream)
      changes.push({ list: placeOf(at).path, from: reference, to: upstream })
      mended += uses.length + 1
      continue
    }
    const seen = uses.flatMap(image => image.seen)
    const list = listOfReleases(seen, { report, lines })
    if (list === undefined) {
      byHand.push(upstream)
      continue
    }
    append(lines.get(list)!, upstream)
    changes.push({ list, to: upstream })
    mended += uses.length
  }
  if (options.remove) {
    for (const { reference, at } of unused) {
      replaceEntry(lines, at, undefined)
      changes.push({ list: placeOf(at).path, from: reference })
      mended++
    }
  }
  const texts = new Map<string, string>()
  for (const [path, all] of lines) {
    const text = all.filter(line => line !== removed).join('\n')
    if (text !== options.lists.get(path)) texts.set(path, text)
  }
  return { changes, texts, byHand: byHand.sort(compareText), mended }
}

/** `file:line:column` */
function placeOf(at: string): { path: string; line: number; column: number } {
  const [, path = at, line = '0', column = '0'] = /^(.*):(\d+):(\d+)$/s.exec(at) ?? []
  return { path, line: Number(line), column: Number(column) }
}

/** No line of a file: it is split at line ends. */
const removed = '\n'

function replaceEntry(lines: Map<string, string[]>, at: string, entry: string | undefined): void {
  const { path, line, column } = placeOf(at)
  const all = lines.get(path)!
  const text = all[line - 1] ?? ''
  const before = text.slice(0, column - 1)
  all[line - 1] = entry === undefined ? removed : before + text.slice(column - 1).replace(/^\S+/, () => entry)
}

function append(lines: string[], entry: string): void {
  // a file that ends with a line end has an empty text behind it
  const end = lines.at(-1) === '' ? lines.length - 1 : lines.length
  const ending = lines.some(line => line.endsWith('\r')) ? '\r' : ''
  lines.splice(end, 0, `${entry}${ending}`)
  if (lines.at(-1) !== '') lines.push('')
}

/** The list that most images of the same releases stand in; the same number: the first by name. */
function listOfReleases(
  seen: UsedImage['seen'],
  { report, lines }: { report: ImageReport; lines: Map<string, string[]> },
): string | undefined {
  const releaseOf = (release: string) => release.slice(release.indexOf(': ') + 1)
  const releases = new Set(seen.map(({ release }) => releaseOf(release)))
  const counts = new Map<string, number>()
  for (const { at, used } of report.agreed) {
    const { path } = placeOf(at)
    if (!lines.has(path)) continue
    if (used.some(image => image.seen.some(({ release }) => releases.has(releaseOf(release)))))
      counts.set(path, (counts.get(path) ?? 0) + 1)
  }
  return [...counts].sort(([a, m], [b, n]) => n - m || compareText(a, b))[0]?.[0]
}
