import { canonicalJson } from '../../core/canonical-json.ts'
import { digestOf, hexOf } from '../../core/digest.ts'
import { namedSupplier, sha256Hash } from '../component.ts'
import { defineKind, type ItemSummary } from '../kind.ts'
import { assembleGit, repositoriesOf } from './assemble.ts'
import { gitEntry } from './entry.ts'
import { type LockedRepository, lockedGitSchema } from './locked.ts'
import { gitMount } from './mount.ts'
import { hostOf, packageUrlOf } from './package-url.ts'
import { shownUrl } from './url.ts'

/** Git repositories at a commit, with the submodules that the manifest follows; served under /git. */
export const gitKind = defineKind({
  name: 'git',
  entry: gitEntry,
  inputs: { of: request => request, empty: 'omitted' },
  schema: lockedGitSchema,
  light: false,
  resolve: async (request, context) => (await import('./resolve.ts')).resolveGit(request, context),
  create: async (recipe, context) => (await import('./resolve.ts')).createPacks(recipe, context),
  assemble: assembleGit,
  section: 'git',
  describe: item => repositoriesOf(item).map(summaryOf),
  packages: 'requested',
  components: item =>
    repositoriesOf(item).map(repository => ({
      type: 'application',
      'bom-ref': `git/${repository.name}`,
      ...namedSupplier(hostOf(repository.url)),
      name: repository.name,
      version: repository.commit,
      hashes: sha256Hash(hexOf(repository.packs[0]!.digest)),
      purl: packageUrlOf(repository),
    })),
  mounts: { registry: 'none', http: gitMount },
})

function summaryOf(repository: LockedRepository): ItemSummary {
  const { name, url, commit, ref, packs } = repository
  const short = ref?.replace(/^refs\/(?:heads|tags)\//, '')
  return {
    name,
    group: 'git',
    subject: name,
    version: short === undefined ? commit : `${short} ${commit}`,
    digest: digestOf(canonicalJson(packs.map(pack => pack.digest))),
    size: packs.reduce((sum, pack) => sum + pack.size + pack.index.size, 0),
    source: shownUrl(url),
    vouchedBy: ref === undefined ? 'commit in the manifest' : 'the server (its ref when locked)',
    locked: repository,
  }
}
