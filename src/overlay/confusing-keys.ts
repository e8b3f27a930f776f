/** The keys that programs read in a manifest, an index or a descriptor (image-spec). */
const known = [
  'schemaVersion',
  'mediaType',
  'artifactType',
  'config',
  'layers',
  'manifests',
  'subject',
  'annotations',
  'digest',
  'size',
  'platform',
  'urls',
  'data',
]
const knownByLower = new Map(known.map(key => [key.toLowerCase(), key]))

interface Open {
  /** of an object; undefined for a list */
  keys: Set<string> | undefined
  /** texts by any name, of which none is a field */
  free: boolean
}

/**
 * Returns a key that programs could read differently, in valid JSON: one that is there twice in its object, or a field in other letter case.
 * JavaScript takes the last of two equal keys and compares case, Go's encoding/json ignores case, others take the first: one digest
 * would be two images (CVE-2021-41190 is of this family). Keys of annotations are compared as they are.
 */
export function confusingKey(text: string): string | undefined {
  const open: Open[] = []
  // where a key may be: after `{`, and after `,` in an object
  let isKey = false
  let last = ''
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/g)) {
    const top = open.at(-1)
    if (token === '{' || token === '[') {
      open.push({ keys: token === '{' ? new Set() : undefined, free: last === 'annotations' })
      isKey = token === '{'
      last = ''
    } else if (token === '}' || token === ']') {
      open.pop()
      isKey = false
    } else if (token === ',') {
      isKey = top?.keys !== undefined
    } else if (isKey && top?.keys !== undefined) {
      const key = JSON.parse(token) as string
      const usual = top.free ? undefined : knownByLower.get(key.toLowerCase())
      if (top.keys.has(key) || (usual !== undefined && usual !== key)) return key
      top.keys.add(key)
      isKey = false
      last = key
    } else {
      last = ''
    }
  }
  return undefined
}
