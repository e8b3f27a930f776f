import { compareText } from '../core/canonical-json.ts'
import { textBefore } from '../core/trim.ts'
import type { UsedImage } from './pair.ts'
import { type ImageReport, repositoryOf } from './report.ts'

/** A change to an image list: `from` alone is removed, `to` alone is added, both together are another version. */
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
  /** images for which no list was found, or that are not in a list file */
  byHand: string[]
  /** number of findings that the changes resolve */
  resolved: number
}

/**
 * Returns the lists updated to what releases use: another version replaces the unused one, a new image is added to the list whose
 * images the same releases use, and with `remove` unused images are removed. Without `remove`, no entry is removed or replaced. Comments and
 * order do not change.
 *
 * An image whose tag gets the OS of each node is listed once for each OS: those entries keep their OS. An image of unknown upstream
 * is not added, and unused entries that may be it stay.
 */
export function updatedLists(
  report: ImageReport,
  options: { /** path → text */ lists: ReadonlyMap<string, string>; remove: boolean },
): UpdatedLists {
  const lines = new Map([...options.lists].map(([path, text]) => [path, text.split('\n')]))
  const changes: ListChange[] = []
  const byHand: string[] = []
  const mayBeUnknown = (reference: string) =>
    report.unknown.some(({ upstream }) => nameOf(upstream) === nameOf(reference))
  const unused = report.unused.filter(
    ({ at, reference }) => lines.has(placeOf(at).path) && !mayBeUnknown(reference),
  )
  if (options.remove)
    byHand.push(...report.unused.filter(one => !unused.includes(one)).map(one => one.reference))
  byHand.push(...report.unknown.map(image => image.upstream))

  let resolved = 0

  for (const upstream of new Set(report.unlisted.map(image => image.upstream))) {
    const uses = report.unlisted.filter(image => image.upstream === upstream)
    if (uses.some(image => image.perNode)) {
      const replaced = unused.filter(({ reference }) => repositoryOf(reference) === repositoryOf(upstream))
      // without an entry for an OS, only a person knows which the nodes have
      if (!replaced.some(({ reference }) => nodeOs(reference) !== undefined))
        byHand.push(perNodeHint(upstream))
      else resolved += uses.length
      for (const { reference, at } of replaced) {
        unused.splice(
          unused.findIndex(one => one.at === at),
          1,
        )
        const os = nodeOs(reference)
        if (os === undefined) continue
        const to = `${upstream}-${os}`
        const { path } = placeOf(at)
        if (!options.remove) {
          append(lines.get(path)!, to)
          changes.push({ list: path, to })
          continue
        }
        replaceEntry(lines, at, to)
        changes.push({ list: path, from: reference, to })
        resolved++
      }
      continue
    }
    const old = unused.findIndex(({ reference }) => repositoryOf(reference) === repositoryOf(upstream))
    if (old >= 0 && !options.remove) {
      // an environment that was not rendered may use the other version
      const { path } = placeOf(unused[old]!.at)
      append(lines.get(path)!, upstream)
      changes.push({ list: path, to: upstream })
      resolved += uses.length
      continue
    }
    if (old >= 0) {
      const [{ reference, at }] = unused.splice(old, 1) as [(typeof unused)[0]]
      replaceEntry(lines, at, upstream)
      changes.push({ list: placeOf(at).path, from: reference, to: upstream })
      resolved += uses.length + 1
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
    resolved += uses.length
  }
  if (options.remove) {
    for (const { reference, at } of unused) {
      replaceEntry(lines, at, undefined)
      changes.push({ list: placeOf(at).path, from: reference })
      resolved++
    }
  }
  const texts = new Map<string, string>()
  for (const [path, all] of lines) {
    const text = all.filter(line => line !== removed).join('\n')
    if (text !== options.lists.get(path)) texts.set(path, text)
  }
  return { changes, texts, byHand: byHand.sort(compareText), resolved }
}

/** Returns the OS at the end of a tag: `ubuntu22.04` of `535.129.03-ubuntu22.04`. */
function nodeOs(reference: string): string | undefined {
  const tag = textBefore(reference.slice(repositoryOf(reference).length + 1), '@')
  return /-((?:ubuntu|debian|rhel|rhcos|centos|rocky|ol|sles|sl-micro|amzn|fedora|flatcar)[0-9][0-9.]*)$/.exec(
    tag,
  )?.[1]
}

/** How a person lists an image whose tag its operator ends with the system of each node. */
export function perNodeHint(upstream: string): string {
  return `${upstream}-OS, once for each OS of the nodes (ubuntu22.04, rhel9.4, …)`
}

/** The last part of the repository, without tag and digest. */
function nameOf(reference: string): string {
  return repositoryOf(reference).split('/').at(-1)!
}

/** `file:line:column` */
function placeOf(at: string): { path: string; line: number; column: number } {
  const [, path = at, line = '0', column = '0'] = /^(.*):(\d+):(\d+)$/s.exec(at) ?? []
  return { path, line: Number(line), column: Number(column) }
}

/** Marks a removed line; no line of a file contains it, as files are split at line ends. */
const removed = '\n'

function replaceEntry(lines: Map<string, string[]>, at: string, entry: string | undefined): void {
  const { path, line, column } = placeOf(at)
  const all = lines.get(path)!
  const text = all[line - 1] ?? ''
  const before = text.slice(0, column - 1)
  all[line - 1] = entry === undefined ? removed : before + text.slice(column - 1).replace(/^\S+/, () => entry)
}

function append(lines: string[], entry: string): void {
  // after a final line end, split() leaves an empty text
  const end = lines.at(-1) === '' ? lines.length - 1 : lines.length
  const ending = lines.some(line => line.endsWith('\r')) ? '\r' : ''
  lines.splice(end, 0, `${entry}${ending}`)
  if (lines.at(-1) !== '') lines.push('')
}

/** Returns the list with most of the images of the same releases; of several, the first by name. */
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
