import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { minisignKeyText, type PublicKey, parsePublicKeys } from './public-key.ts'

/** Which keys sign bundles from now on, signed by enough of those that did so until now. */
export interface Rotation {
  /** UTC, to the second; of two rotations, the later one counts */
  made: string
  /** how many of the keys must sign a bundle; a site never lowers its own */
  threshold: number
  /** all of them, those that stay included; sorted by fingerprint */
  keys: PublicKey[]
}

const maxSize = 64 * 1024 /* bytes */
const maxKeys = 32
/** No statement of a bundle starts like this: what was signed as one cannot be used as the other. */
const title = '# key rotation: astrago-airgap'

/** Prints a rotation: comments, then keys as `minisign -P` takes them. Throws INTERNAL for one that `parseRotation` would refuse. */
export function printRotation(rotation: Rotation): string {
  const text = lines(rotation)
  if (parse(Buffer.from(text)) === undefined)
    throw new AirgapError('INTERNAL', 'the rotation cannot be printed', { item: text.slice(0, 1000) })
  return text
}

function lines({ made, threshold, keys }: Rotation): string {
  const sorted = [...keys].sort((a, b) => compareText(a.fingerprint, b.fingerprint))
  return [title, `# made: ${made}`, `# threshold: ${threshold}`, ...sorted.map(minisignKeyText), ''].join(
    '\n',
  )
}

/** Parses a rotation, of which there is exactly one form. Throws SIGNATURE_INVALID. */
export function parseRotation(bytes: Uint8Array, item: string): Rotation {
  const rotation = parse(bytes)
  if (rotation !== undefined) return rotation
  throw new AirgapError('SIGNATURE_INVALID', 'this is not a rotation of keys that `airgap rotate` wrote', {
    item,
    likely: 'it was edited, converted (line ends), or is another file',
    next: 'copy the file again from the host where the rotation was made',
  })
}

function parse(bytes: Uint8Array): Rotation | undefined {
  if (bytes.length > maxSize) return undefined
  const text = Buffer.from(bytes).toString('latin1')
  const [, made, count] =
    /^# key rotation: astrago-airgap\n# made: (2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\n# threshold: (\d{1,2})\n/.exec(
      text,
    ) ?? []
  if (made === undefined || Number.isNaN(Date.parse(made))) return undefined
  const keys = keysOf(text)
  const threshold = Number(count)
  if (threshold < 1 || threshold > keys.length || keys.length > maxKeys) return undefined
  const rotation = { made, threshold, keys }
  // compared with its printed form: order, repeated keys and line ends cannot vary
  return lines(rotation) === text ? rotation : undefined
}

function keysOf(text: string): PublicKey[] {
  try {
    return parsePublicKeys(text, 'rotation')
  } catch {
    return []
  }
}
