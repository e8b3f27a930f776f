import { closureOf } from '../../../src/kinds/deb/closure.ts'
import { readPackages } from '../../../src/kinds/deb/packages.ts'
import { fetchRelease } from '../../../src/kinds/deb/release.ts'
import { Universe } from '../../../src/kinds/deb/universe.ts'
import { sourceOf, withContext } from '../../../test/kinds/deb/support/resolve.ts'

/**
 * Does what apt does for `install --print-uris`, and no more: parses the lists of a suite and resolves a request.
 * Arguments: a folder with the index in its cache, archive, keyring, packages.
 */
const [folder, archive, keyring, ...names] = process.argv.slice(2) as [string, string, string, ...string[]]
const request = { ...sourceOf({ archive, suite: 'bookworm', keys: [keyring] }), at: 'bench' }
const { lists } = await withContext({ folder }, async context => {
  const release = await fetchRelease(request, context)
  return readPackages(request, { release, architecture: 'amd64' }, context)
})
const universe = new Universe(lists, { architecture: 'amd64' })
const selected = closureOf(universe, { names, recommends: false, at: 'bench' })
console.log(selected.length)
