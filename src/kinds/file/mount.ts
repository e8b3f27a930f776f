import { type HttpMount, mountOfTree } from '../mount.ts'

/** Files under /files, each at its path. */
export const fileMount: HttpMount = {
  serves: tree => tree === 'files',
  merge: () => undefined,
  mount: async ({ trees }, { now }) => ({
    mounts: trees.map(tree => mountOfTree(tree, { now })),
    clients: [],
  }),
}
