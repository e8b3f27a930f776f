import type { GroupChange, LockChange, LockDifference } from '../../kinds/lock-changes.ts'
import type { ChangedFact } from '../../lock/facts.ts'
import { humanBytes } from './format.ts'
import type { StyledLine } from './output.ts'

/** Renders the differences of two locks for review, group by group; a change takes two lines, or one where that is enough. */
export function renderChanges({ changes, settings, unchanged }: LockDifference): StyledLine[] {
  const groups = Map.groupBy(changes, ({ group }) => group)
  const lines = settings.filter(({ group }) => group === undefined).flatMap(settingLines)
  const named = settings.flatMap(({ group }) => group ?? [])
  for (const group of new Set([...groups.keys(), ...named])) {
    const own = groups.get(group) ?? []
    const kept = unchanged[`${own[0]?.kind} ${group}`] ?? 0
    lines.push({ text: '' }, { text: `${group}: ${countsOf(own, kept)}`, style: 'heading' })
    lines.push(...settings.filter(one => one.group === group).flatMap(settingLines))
    lines.push(...own.flatMap(changeLines))
  }
  return lines
}

/** `2 changed, 1 added, 40 unchanged` */
export function countsOf(changes: readonly LockChange[], unchanged: number): string {
  const counts = (['changed', 'added', 'removed'] as const).map(
    kind => [changes.filter(({ change }) => change === kind).length, kind] as const,
  )
  const shown = [...counts, [unchanged, 'unchanged'] as const].filter(([count]) => count > 0)
  return shown.length === 0 ? 'nothing changed' : shown.map(([count, word]) => `${count} ${word}`).join(', ')
}

const signs = { added: '+', removed: '-', changed: '~' } as const

function changeLines(change: LockChange): StyledLine[] {
  const { before, after, name, facts = [] } = change
  const style = change.change
  const head = [`${signs[style]} ${name}`]
  const detail: string[] = []
  if (before && after) {
    const versions = pairText(before.version ?? '', after.version ?? '')
    if (versions !== '') head.push(versions)
    else if (before.name !== after.name) head.push(pairText(before.name, after.name))
    if (before.digest === after.digest) detail.push(`${shortDigest(after.digest)} (same content)`)
    else detail.push(`${shortDigest(before.digest)} → ${shortHex(after.digest)}`)
    detail.push(`${humanBytes(after.size)} (${signedBytes(change.sizeDifference)})`)
  } else {
    const state = (after ?? before)!
    if (state.version !== undefined) head.push(shortCommit(state.version))
    detail.push(shortDigest(state.digest), humanBytes(state.size))
  }
  if (change.requiredBy !== undefined) detail.push(`required by ${change.requiredBy}`)
  const lines: StyledLine[] = [{ text: head.join('  '), style }, { text: `    ${detail.join('  ')}` }]
  if (change.requiredBy === undefined && after !== undefined) lines.push(...sourceLines(change))
  const dependencies = dependencyText(change)
  if (dependencies !== undefined) lines.push({ text: `    ${dependencies}` })
  return [...lines, ...facts.map(factLine)]
}

/** Where it comes from; of a changed item only if that is new, too. Without a publisher's word, always. */
function sourceLines({ before, after }: LockChange): StyledLine[] {
  const lines: StyledLine[] = []
  const platforms = [before?.platforms?.join(', '), after!.platforms?.join(', ')] as const
  if (platforms[1] !== undefined && platforms[0] !== platforms[1])
    lines.push({
      text: `    platforms ${before ? pairText(platforms[0] ?? 'none', platforms[1]) : platforms[1]}`,
    })
  lines.push({
    text: `    from ${before && before.source !== after!.source && before.version === after!.version ? pairText(before.source, after!.source) : after!.source}`,
  })
  if (before !== undefined && before.vouchedBy !== after!.vouchedBy)
    lines.push({
      text: `    vouched for by ${pairText(before.vouchedBy, after!.vouchedBy)}`,
      style: 'warning',
    })
  else
    lines.push({
      text: `    vouched for by ${after!.vouchedBy}`,
      ...(after!.firstUse ? { style: 'warning' } : {}),
    })
  return lines
}

function dependencyText({ dependencies, change }: LockChange): string | undefined {
  if (dependencies === undefined || change === 'removed') return undefined
  const { changed, unchanged } = dependencies
  const plural = (count: number) => (count === 1 ? '1 of its dependencies' : `${count} of its dependencies`)
  if (changed === 0) return `and ${plural(unchanged)} unchanged`
  if (unchanged === 0) return `and ${plural(changed)} changed with it`
  return `and ${plural(changed)} changed with it, ${unchanged} unchanged`
}

function settingLines({ facts }: GroupChange): StyledLine[] {
  return facts.map(factLine)
}

function factLine({ path, before, after }: ChangedFact): StyledLine {
  const name = path === 'inputs' ? 'the manifest' : path
  if (before === undefined) return { text: `    + ${name}${valueAfter(path, after)}`, style: 'added' }
  if (after === undefined) return { text: `    - ${name}${valueAfter(path, before)}`, style: 'removed' }
  return { text: `    ~ ${name}: ${valueText(before)} → ${valueText(after)}`, style: 'changed' }
}

/** The value, unless the path says it already: `platforms[linux/arm64]`. */
function valueAfter(path: string, value: unknown): string {
  return path.endsWith(`[${value}]`) ? '' : `: ${valueText(value)}`
}

const longest = 60 /* characters of a value that a line shows; `-o json` has all of it */

function valueText(value: unknown): string {
  const content = (value as { digest?: unknown } | null)?.digest ?? value
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  const short = /^sha256:[0-9a-f]{64}$/.test(text) ? shortDigest(text) : text
  const line = short
    .split('\n')
    .map(part => part.trim())
    .filter(Boolean)
    .join(' ')
  return line.length <= longest ? line : `${line.slice(0, longest)}…`
}

function pairText(before: string, after: string): string {
  if (before === '' && after === '') return ''
  return before === after ? shortCommit(after) : `${shortCommit(before)} → ${shortCommit(after)}`
}

/** `v1.2.0 4f2a…` has a commit in it, and an image without a tag has a digest as its version. */
function shortCommit(text: string): string {
  return text.replace(/\b([0-9a-f]{12})(?:[0-9a-f]{28}|[0-9a-f]{52})\b/g, '$1')
}

/** As docker shows it: the first 12 digits. */
function shortDigest(digest: string): string {
  return `sha256:${shortHex(digest)}`
}

function shortHex(digest: string): string {
  return digest.slice('sha256:'.length, 'sha256:'.length + 12)
}

/** `+1.2 MiB`, `-300 B`, `same size` */
export function signedBytes(bytes: number): string {
  if (bytes === 0) return 'same size'
  return `${bytes > 0 ? '+' : ''}${humanBytes(bytes)}`
}
