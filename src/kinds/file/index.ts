import { treeArtifacts } from '../../content/tree.ts'
import { defined } from '../../core/defined.ts'
import { hexOf } from '../../core/digest.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { packageUrl } from '../../core/package-url.ts'
import { redactUrl } from '../../core/redact.ts'
import { namedSupplier, sha256Hash } from '../component.ts'
import { defineKind } from '../kind.ts'
import { fileEntry } from './entry.ts'
import { lockedFileSchema } from './locked.ts'
import { fileMount } from './mount.ts'

/** Plain files by URL: one tree, served under /files. */
export const fileKind = defineKind({
  name: 'file',
  entry: fileEntry,
  inputs: { of: request => request, empty: 'counted' },
  schema: lockedFileSchema,
  light: false,
  resolve: async (request, context) => (await import('./resolve.ts')).resolveFile(request, context),
  create: 'nothing',
  assemble: files =>
    files.length === 0
      ? []
      : treeArtifacts({
          name: 'files',
          kind: 'file',
          files: files.map(file => ({
            path: file.name,
            mode: file.executable ? '100755' : '100644',
            descriptor: { mediaType: mediaTypes.octets, digest: file.digest, size: file.size },
            origin: { sources: [{ type: 'url', url: file.url }] },
          })),
        }),
  section: 'files',
  describe: file => [
    {
      name: file.name,
      group: 'files',
      ...versionIn(file.name),
      digest: file.digest,
      size: file.size,
      source: redactUrl(file.url),
      vouchedBy: file.firstUse ? 'nobody (first use)' : 'sha256 in the manifest',
      ...defined({ firstUse: file.firstUse }),
      locked: file,
    },
  ],
  packages: 'requested',
  components({ name, url, digest }) {
    const purl = packageUrl('generic', name.split('/').slice(-1), {
      download_url: redactUrl(url),
      checksum: digest,
    })
    return [
      {
        type: 'file',
        ...namedSupplier(new URL(url).hostname),
        'bom-ref': `file/${name}`,
        name,
        hashes: sha256Hash(hexOf(digest)),
        purl,
      },
    ]
  },
  mounts: { registry: 'none', http: fileMount },
})

/** Most paths contain the version of the file: `v1.28.6/kubectl` and `v1.29.0/kubectl` are two versions of one. */
function versionIn(path: string): { subject: string; version?: string } {
  const found = new Set<string>()
  const subject = path.replace(/(?:v|(?<!\d))\d+(?:\.\d+)+(?:[-+](?:alpha|beta|rc)[.\d]*)?/g, version => {
    found.add(version)
    return '*'
  })
  return found.size === 0 ? { subject } : { subject, version: [...found].join(' ') }
}
