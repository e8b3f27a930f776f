import { one } from './language-files.ts'
import type { InstalledPackage } from './package.ts'
import { Unreadable } from './unreadable.ts'

/**
 * Reads the modules that a Go program was built from (Go, debug/buildinfo and runtime/debug, `BuildInfo`), out of a stream: programs are
 * large, and what is wanted is a small part of them.
 */

const elf = Buffer.from([0x7f, 0x45, 0x4c, 0x46])
const magic = Buffer.from('\xff Go buildinf:', 'latin1')
const headerSize = 32
const alignment = 16
/** The strings follow the header since Go 1.18. */
const inlineStrings = 2
const maxStrings = 4 << 20 /* bytes */

/** Returns nothing for other files. Throws Unreadable. */
export async function readGoBinary(
  content: AsyncIterable<Buffer>,
  path: string,
): Promise<InstalledPackage[]> {
  let held = Buffer.alloc(0)
  /** offset of `held` in the file */
  let offset = 0
  let isElf = false
  for await (const chunk of content) {
    held = Buffer.concat([held, chunk])
    if (!isElf) {
      if (held.length < elf.length) continue
      if (!held.subarray(0, elf.length).equals(elf)) return []
      isElf = true
    }
    const at = findHeader(held, offset)
    const keep = at ?? Math.max(0, held.length - headerSize)
    held = held.subarray(keep)
    offset += keep
    if (at === undefined) continue
    const found = stringsOf(held)
    if (found === 'more' && held.length < maxStrings) continue
    return found === 'more' || found === undefined ? [] : packagesOf(found, path)
  }
  return []
}

/** Programs that read other programs contain the magic text, too, but not aligned and with such a header. */
function findHeader(bytes: Buffer, offset: number): number | undefined {
  for (
    let at = bytes.indexOf(magic);
    at >= 0 && at + headerSize <= bytes.length;
    at = bytes.indexOf(magic, at + 1)
  ) {
    const [pointerSize, flags] = [bytes[at + 14]!, bytes[at + 15]!]
    if ((offset + at) % alignment === 0 && [4, 8].includes(pointerSize) && flags <= 3) return at
  }
  return undefined
}

interface Strings {
  version: string
  modules: Buffer
}

function stringsOf(header: Buffer): Strings | 'more' | undefined {
  if (header.length < headerSize) return 'more'
  const flags = header[15]!
  if ((flags & inlineStrings) === 0)
    throw new Unreadable('it was built with Go before 1.18, and its modules are not read')
  const version = lengthAndText(header, headerSize)
  if (version === 'more' || version === undefined) return version
  const modules = lengthAndText(header, version.end)
  if (modules === 'more' || modules === undefined) return modules
  return { version: version.text.toString('utf8'), modules: modules.text }
}

function lengthAndText(bytes: Buffer, start: number): { text: Buffer; end: number } | 'more' | undefined {
  let length = 0
  for (let i = 0; i < 4; i++) {
    const byte = bytes[start + i]
    if (byte === undefined) return 'more'
    length += (byte & 0x7f) * 128 ** i
    if (byte >= 0x80) continue
    if (length > maxStrings) return undefined
    const end = start + i + 1 + length
    return end > bytes.length ? 'more' : { text: bytes.subarray(end - length, end), end }
  }
  return undefined
}

/** Sixteen random bytes stand before and after the text. */
function packagesOf({ version, modules }: Strings, path: string): InstalledPackage[] {
  const packages = one('golang', { name: 'stdlib', version: /^go(\d[^ ]*)/.exec(version)?.[1], path })
  let replaced: InstalledPackage[] = []
  for (const line of modules
    .subarray(16, Math.max(16, modules.length - 16))
    .toString('utf8')
    .split('\n')) {
    const [word, name, moduleVersion] = line.split('\t')
    if (word !== 'mod' && word !== 'dep' && word !== '=>') continue
    // `=>` names what was used in place of the module on the line before
    if (word === '=>') packages.splice(packages.length - replaced.length, replaced.length)
    replaced = one('golang', { name, version: moduleVersion, path })
    packages.push(...replaced)
  }
  return packages
}
