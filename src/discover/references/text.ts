import { fetchedByCommand, fetchedByVariable } from '../downloads/fetches.ts'
import { isExample, mayName } from '../walk.ts'
import { flagsOf } from './command-line.ts'
import { isImageText, qualifiedImages } from './image-text.ts'
import { join } from './join.ts'
import { linesOf } from './lines.ts'
import { type Match, unversioned } from './match.ts'
import { nestedDocuments } from './nested.ts'

/** Keys whose text is for people. */
const forPeople =
  /^(?:description|summary|message|documentation|docs?|help|usage|comment|comments|notes?|readme|title|caption|tooltip|displayName|runbook_url|expr|query|license|licenses|changelog)$|^(?:README|NOTES|LICENSE|CHANGELOG)|\.md$|^(?:kubectl\.kubernetes\.io\/last-applied|meta\.helm\.sh|artifacthub\.io)/i

/**
 * Returns the references in the value of a key that is neither an image nor a part of one. Texts that are documents are left to
 * the walk, which goes through their keys.
 */
export function textMatches(
  text: string,
  { key, path, own }: { key: string; path: string; own: ReadonlySet<string> },
): Match[] {
  if (forPeople.test(key) || isExample(key)) return []
  const isScript = /\.(?:sh|bash|py)$/.test(key) || text.startsWith('#!')
  const urls = [...(isScript ? fetchedByCommand(text, own).urls : []), ...fetchedByVariable(key, text)]
  const matches: Match[] = urls.length > 0 ? [{ how: 'text', path, urls: [...new Set(urls)] }] : []
  if (!mayName(text)) return matches
  if (!text.includes('\n') && !/^\s*[[{]/.test(text)) {
    const images = qualifiedImages(text)
    return images.length > 0 ? [...matches, { how: 'text', path, images }] : matches
  }
  if (nestedDocuments(text).length > 0) return matches
  return [...matches, ...unstructured(text, path)]
}

/** A text that is neither YAML nor JSON: TOML, INI, a script, a template. */
function unstructured(text: string, path: string): Match[] {
  const lines = linesOf(text, path)
  const joined = join([
    ...lines.named.map(numbered),
    ...flagsOf([{ text: lines.text, place: path }]).map(numbered),
  ])
  const images = new Set([...joined.images.map(image => image.text), ...qualifiedImages(lines.text)])
  const conditional = new Set([
    ...join(lines.conditionalNamed.map(numbered)).images.map(image => image.text),
    ...qualifiedImages(lines.conditional),
  ])
  const matches: Match[] = images.size > 0 ? [{ how: 'text', path, images: [...images] }] : []
  const hidden = [...conditional]
    .filter(image => !images.has(image) && isImageText(image))
    .map(subject => ({ subject, reason: 'a template includes it under a condition' }))
  return hidden.length > 0 || joined.unversioned.length > 0
    ? [
        ...matches,
        {
          how: 'text',
          path,
          undecided: [...hidden, ...joined.unversioned.map(unversioned)],
        },
      ]
    : matches
}

const numbered = <T extends { place: string }>(one: T, index: number): T => ({
  ...one,
  place: `${one.place} ${index}`,
})
