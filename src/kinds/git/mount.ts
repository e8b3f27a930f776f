import { type HttpMount, mountOfTree, type SiteMount, type SiteService } from '../mount.ts'
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
    for (const tree of trees) {
      const services = new Map<string, SiteService>()
      for (const name of repositoryNames(tree)) {
        for (const [path, service] of uploadPack(await servedRepository(tree, name), store)) {
          services.set(`${name}/${path}`, service)
          services.set(`${name}.git/${path}`, service)
        }
      }
      mounts.push({ ...mountOfTree(tree, { now }), services })
    }
    return { mounts, clients: [] }
  },
}
