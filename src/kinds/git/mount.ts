import {
  type HttpMount,
  type ListedItem,
  mountOfTree,
  type SiteList,
  type SiteMount,
  type SiteService,
} from '../mount.ts'
import { repositoryNames, servedRepository } from './served-repository.ts'
import { uploadPack } from './upload-pack.ts'

/** Repositories under /git/NAME, for git's smart and dumb HTTP protocols; for the smart one under /git/NAME.git, too. */
export const gitMount: HttpMount = {
  serves: tree => tree === 'git',
  merge(path, texts) {
    // the ref, its commit, where the history is cut, and the packs that have all of that: those of the newer bundle
    const own = /\/(?:HEAD|config|shallow|info\/refs|objects\/info\/packs|refs\/.+)$/
    return own.test(path) ? texts.at(-1) : undefined
  },
  async mount({ trees }, { store, now }) {
    const mounts: SiteMount[] = []
    const lists: SiteList[] = []
    for (const tree of trees) {
      const services = new Map<string, SiteService>()
      const items: ListedItem[] = []
      for (const name of repositoryNames(tree)) {
        const repository = await servedRepository(tree, name)
        items.push({ name, version: repository.commit, about: repository.branch.slice('refs/heads/'.length) })
        for (const [path, service] of uploadPack(repository, store)) {
          services.set(`${name}/${path}`, service)
          services.set(`${name}.git/${path}`, service)
        }
      }
      mounts.push({ ...mountOfTree(tree, { now }), services })
      lists.push({ kind: 'git', name: tree.name, items: async () => items })
    }
    return { mounts, clients: [], lists }
  },
}
