import { defined } from '../../core/defined.ts'
import { hexOf } from '../../core/digest.ts'
import { packageUrl } from '../../core/package-url.ts'
import { formatPlatform } from '../../core/platform.ts'
import { formatReference, parseReference } from '../../core/reference.ts'
import { policyInputs } from '../../oci-signatures/policy.ts'
import { signersText } from '../../oci-signatures/signed-by.ts'
import { namedSupplier, sha256Hash } from '../component.ts'
import { defineKind } from '../kind.ts'
import { assembleImages } from './assemble.ts'
import { imageEntry } from './entry.ts'
import { type LockedImage, lockedImageSchema } from './locked.ts'

/** Images and their indexes, raw bytes of the publisher; with referrers where the manifest requests them. */
export const imageKind = defineKind({
  name: 'image',
  entry: imageEntry,
  inputs: {
    of: ({ signatures, ...image }) => ({
      ...image,
      reference: formatReference(image.reference),
      from: formatReference(image.from),
      platforms: image.platforms.map(formatPlatform),
      ...defined({ signers: signatures && policyInputs(signatures) }),
    }),
    empty: 'counted',
  },
  schema: lockedImageSchema,
  light: true,
  resolve: async (request, context) => (await import('./resolve.ts')).resolveImage(request, context),
  create: 'nothing',
  assemble: assembleImages,
  section: 'images',
  describe(image) {
    const sizes = new Map([...image.manifests, ...image.blobs].map(blob => [blob.digest, blob.size]))
    const size = [...sizes.values()].reduce((sum, one) => sum + one, 0)
    const { host, repository, tag } = parseReference(image.name)
    return [
      {
        name: image.name,
        group: 'images',
        subject: `${host}/${repository}`,
        version: tag ?? image.digest,
        digest: image.digest,
        platforms: image.platforms,
        size,
        source: image.from,
        vouchedBy: voucherOf(image),
        locked: image,
      },
    ]
  },
  packages: 'requested',
  components(image) {
    const { host, repository, tag } = parseReference(image.name)
    const arch = image.platforms.length === 1 ? image.platforms[0]?.split('/')[1] : undefined
    const qualifiers = { version: image.digest, arch, repository_url: `${host}/${repository}`, tag }
    return [
      {
        type: 'container',
        'bom-ref': `image/${image.name}`,
        ...namedSupplier(host),
        name: `${host}/${repository}`,
        version: tag ?? image.digest,
        hashes: sha256Hash(hexOf(image.digest)),
        purl: packageUrl('oci', repository.split('/').slice(-1), qualifiers),
      },
    ]
  },
  mounts: { registry: { nameOf: refName => ({ reference: parseReference(refName) }) }, http: 'none' },
})

function voucherOf({ name, from, signedBy }: LockedImage): string {
  const signers = signersText(signedBy)
  if (signers !== undefined) return signers
  return name.includes('@') ? 'digest in the manifest' : `${from.split('/')[0]} (its tag when locked)`
}
