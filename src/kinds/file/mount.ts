import { type HttpMount, type ListedItem, type MountedTree, mountOfTree } from '../mount.ts'

/** Files under /files, each at its path. */
export const fileMount: HttpMount = {
  serves: tree => tree === 'files',
  merge: () => undefined,
  mount: async ({ trees }, { now }) => ({
    mounts: trees.map(tree => mountOfTree(tree, { now })),
    clients: [],
    lists: trees.map(tree => ({ kind: 'file', name: tree.name, items: async () => filesOf(tree) })),
  }),
}

function filesOf({ name, entries }: MountedTree): ListedItem[] {
  return [...entries].map(([path, { descriptor }]) => ({
    name: path,
    size: descriptor.size,
    digest: descriptor.digest,
    path: `/${name}/${path}`,
  }))
}
