import { type Component, namedLicense, namedSupplier } from '../component.ts'

const maxText = 1000

/** Author and licence of a distribution, from its core metadata, for the bill of materials. */
export function publisherOf(metadata: string | undefined): Pick<Component, 'supplier' | 'licenses'> {
  const head = metadata?.split(/\r?\n\r?\n/, 1)[0]?.replace(/\r?\n[ \t]+/g, ' ') ?? ''
  const fields = (name: string) =>
    [...head.matchAll(new RegExp(`^${name}:[ \\t]*(.*)$`, 'gim'))]
      .map(match => match[1]!.trim())
      // a name is short, and the patterns below take quadratic time (CWE-407)
      .filter(text => text !== '' && text.length <= maxText && text.toUpperCase() !== 'UNKNOWN')
  const [person] = ['Maintainer', 'Author', 'Maintainer-email', 'Author-email'].flatMap(fields)
  return {
    ...namedSupplier(person && withoutAddress(person)),
    ...licensesOf(fields),
  }
}

/** PEP 639's expression, else the classifiers, else the free text. */
function licensesOf(fields: (name: string) => string[]): Pick<Component, 'licenses'> {
  const [expression] = fields('License-Expression')
  if (expression !== undefined) return { licenses: [{ expression }] }
  const names = fields('Classifier').flatMap(
    one => /^License :: (?:OSI Approved :: )?(.+)$/.exec(one)?.[1] ?? [],
  )
  const licenses = [...new Set(names)].map(name => ({ license: { name } }))
  return licenses.length > 0 ? { licenses } : namedLicense(fields('License')[0])
}

/** `"A. Person" <a@example>` → `A. Person` */
function withoutAddress(person: string): string {
  const start = person.indexOf('<')
  const name = person.includes('>', start) && start >= 0 ? person.slice(0, start).trimEnd() : person
  return name.replace(/^"(.*)"$/, '$1')
}
