import { join } from 'node:path'
import { LayoutStore } from '../../../src/content/layout-store.ts'
import { AirgapError } from '../../../src/core/errors.ts'
import { silentProgress } from '../../../src/core/progress.ts'
import { closureOf } from '../../../src/kinds/deb/closure.ts'
import { readPackages } from '../../../src/kinds/deb/packages.ts'
import { fetchRelease } from '../../../src/kinds/deb/release.ts'
import { Universe } from '../../../src/kinds/deb/universe.ts'
import { createHttpClient } from '../../../src/remote/http-client.ts'

/**
 * Does what apt does for `install --print-uris`, and no more: reads the lists of a suite (and its Release file, with the signature) and
 * resolves a request. Arguments: a folder with the index in its cache, archive, keyring, packages.
 */
const [folder, archive, keyring, ...names] = process.argv.slice(2) as [string, string, string, ...string[]]
const source = { archive, suite: 'bookworm', components: ['main'], keys: [keyring], keysAsWritten: [keyring] }
const request = { ...source, at: 'bench' }
const http = createHttpClient()
const unused = () => Promise.reject(new AirgapError('INTERNAL', 'the archive has no registry'))
const context = {
  http,
  registry: { manifest: unused, tags: unused, blob: unused, openers: () => [], referrers: unused },
  cache: await LayoutStore.open(join(folder, 'cache')),
  folder,
  progress: silentProgress,
  now: () => new Date(),
  signal: new AbortController().signal,
}
const release = await fetchRelease(request, context)
const { lists } = await readPackages(request, { release, architecture: 'amd64' }, context)
await http.close()
const universe = new Universe(lists, { architecture: 'amd64' })
const selected = closureOf(universe, { names, recommends: false, at: 'bench' })
console.log(selected.length)
