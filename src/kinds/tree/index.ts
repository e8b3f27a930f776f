import { type TreeFile, treeArtifacts } from '../../content/tree.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import { digestOf } from '../../core/digest.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { defineKind } from '../kind.ts'
import { treeEntry } from './entry.ts'
import { type LockedTree, lockedTreeSchema } from './locked.ts'

/** A folder of the build host, extracted unchanged on the site. */
export const treeKind = defineKind({
  name: 'tree',
  entry: treeEntry,
  inputs: { of: ({ folder, ...tree }) => tree, empty: 'counted' },
  schema: lockedTreeSchema,
  light: false,
  resolve: async (request, context) => (await import('./resolve.ts')).resolveTree(request, context),
  create: 'nothing',
  assemble: trees =>
    trees.flatMap(tree =>
      treeArtifacts({
        name: `tree/${tree.name}`,
        kind: 'tree',
        files: tree.files.map(file => treeFile(tree, file)),
      }),
    ),
  section: 'files',
  describe: tree => [
    {
      name: tree.name,
      group: 'trees',
      subject: tree.name,
      version: `${tree.files.length} files`,
      size: tree.files.reduce((sum, file) => sum + ('size' in file ? file.size : 0), 0),
      digest: digestOf(canonicalJson(tree.files)),
      source: tree.from,
      vouchedBy: 'the folder beside the manifest',
      locked: tree,
    },
  ],
  packages: 'requested',
  // the build host's own files: no publisher, no version
  components: () => [],
  // for the operator: it is laid down where the install runs
  mounts: { registry: 'none', http: 'none' },
})

function treeFile(tree: LockedTree, file: LockedTree['files'][number]): TreeFile {
  if ('target' in file) {
    const bytes = Buffer.from(file.target)
    const descriptor = { mediaType: mediaTypes.octets, digest: digestOf(bytes), size: bytes.length }
    return { path: file.path, mode: '120000', descriptor, origin: { bytes } }
  }
  const { path, mode, digest, size } = file
  return {
    path,
    mode,
    descriptor: { mediaType: mediaTypes.octets, digest, size },
    origin: { sources: [{ type: 'path', path: `${tree.from}/${path}` }] },
  }
}
