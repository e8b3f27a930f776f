import { readYaml } from './parse-yaml.ts'

/**
 * Reads YAML of an upstream: every scalar as the text that was written (`1.10` stays `1.10`), null as null. Only the first document counts,
 * as for Go’s readers; tags are ignored. Aliases that multiply and deep nesting are errors. Duplicate keys are errors, too, unless `duplicates` is
 * `last`: the last one counts, as in sigs.k8s.io/yaml `Unmarshal` (its `UnmarshalStrict` refuses them). Throws an Error.
 */
export function readYamlTexts(
  text: string,
  {
    duplicates = 'refuse',
    nulls = 'null',
  }: {
    duplicates?: 'refuse' | 'last'
    /** `text`: an empty value is '', and `null` a word */
    nulls?: 'null' | 'text'
  } = {},
): unknown {
  const { value, faults } = readYaml(firstDocument(text), {
    scalars: nulls === 'null' ? 'text or null' : 'text',
    merge: true,
    tags: 'ignore',
    duplicates,
  })
  const [fault] = faults
  if (fault !== undefined) throw new Error(fault.what)
  return value
}

/** The text up to the marker that ends the first document with content; markers stand at the start of a line. */
function firstDocument(text: string): string {
  const marker = /^(?:---|\.\.\.)(?=\s|$)/gm
  let looked = 0
  let ended = false
  // each part is looked at once: a text of markers only would take quadratic time (CWE-407)
  for (let match = marker.exec(text); match !== null; match = marker.exec(text)) {
    if (ended || /^[^#%\s]/m.test(text.slice(looked, match.index))) return text.slice(0, match.index)
    looked = marker.lastIndex
    ended = match[0] === '...'
  }
  return text
}
