import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib'
import type { Gpg } from '../../kinds/deb/support/archive.ts'
import { must } from '../../kinds/deb/support/programs.ts'

/** A repository as its publisher lays it out, out of packages that exist already. */
export interface YumLayout {
  /** path of each package's file in the repository's folder → where primary.xml says it is (default: the same) */
  packages: Record<string, { from: string; href?: string; base?: string }>
  /** createrepo_c's lists that repomd.xml has (default: all three) */
  lists?: ('primary' | 'filelists' | 'other')[]
  packing?: 'gz' | 'xz' | 'bz2' | 'zst' | ''
  /** further lists: `group_gz`, `modules` */
  extra?: Record<string, string>
  /** of the packages */
  checksum?: 'sha256' | 'sha512'
  /** changes to the lists before they are packed */
  change?: Partial<Record<'primary' | 'filelists', (text: string) => string>>
  /** `xml:base` of the lists in repomd.xml, and where below `folder` they are then */
  listBase?: { url: string; folder: string }
}

/** Lays the repository out with createrepo_c; signs repomd.xml with the user's key. */
export async function publishYum(
  folder: string,
  layout: YumLayout,
  { gpg, user, at }: { gpg: Gpg; user?: string /** time of the signature */; at?: string },
): Promise<void> {
  const { packages, lists = ['primary', 'filelists', 'other'], packing = 'gz', checksum = 'sha256' } = layout
  const plain = join(folder, '.plain')
  await mkdir(plain, { recursive: true })
  const names = Object.entries(packages).map(([path, one], i) => ({ path, ...one, plain: `${i}.rpm` }))
  for (const one of names) {
    await copyFile(one.from, join(plain, one.plain))
    await mkdir(dirname(join(folder, one.path)), { recursive: true })
    await copyFile(one.from, join(folder, one.path))
  }
  await must('createrepo_c', [
    '-q',
    '--no-database',
    '--simple-md-filenames',
    '-s',
    checksum,
    '--compress-type',
    'gz',
    plain,
  ])
  const place = join(folder, layout.listBase?.folder ?? '')
  await mkdir(join(place, 'repodata'), { recursive: true })
  await mkdir(join(folder, 'repodata'), { recursive: true })
  let data = ''
  const add = async (type: string, text: string, file: string) => {
    const packed = await pack(text, packing)
    const href = `repodata/${file}${packing && `.${packing}`}`
    await writeFile(join(place, href), packed)
    const base = layout.listBase === undefined ? '' : ` xml:base="${layout.listBase.url}"`
    data += `<data type="${type}"><checksum type="sha256">${sha256(packed)}</checksum><open-checksum type="sha256">${sha256(text)}</open-checksum><location${base} href="${href}"/><timestamp>1</timestamp><size>${packed.length}</size><open-size>${Buffer.byteLength(text)}</open-size></data>\n`
  }
  for (const type of lists) {
    let text = gunzipSync(await readFile(join(plain, `repodata/${type}.xml.gz`))).toString('utf8')
    if (type === 'primary') {
      for (const { path, href = path, base, plain: name } of names)
        text = text.replace(
          `<location href="${name}"/>`,
          () => `<location${base === undefined ? '' : ` xml:base="${base}"`} href="${escaped(href)}"/>`,
        )
    }
    if (type !== 'other') text = layout.change?.[type]?.(text) ?? text
    await add(type, text, `${type}.xml`)
  }
  for (const [type, text] of Object.entries(layout.extra ?? {}))
    await add(type, text, type === 'modules' ? 'modules.yaml' : 'comps.xml')
  const repomd = join(folder, 'repodata/repomd.xml')
  await writeFile(
    repomd,
    `<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>\n${data}</repomd>\n`,
  )
  if (user === undefined) return
  const time = at === undefined ? [] : ['--faked-system-time', at]
  await gpg.run(
    ...time,
    '--local-user',
    user,
    '--armor',
    '--output',
    `${repomd}.asc`,
    '--detach-sign',
    repomd,
  )
}

async function pack(text: string, packing: NonNullable<YumLayout['packing']>): Promise<Buffer> {
  if (packing === '') return Buffer.from(text)
  if (packing === 'gz') return gzipSync(text)
  if (packing === 'zst') return zstdCompressSync(text)
  const { execFileSync } = await import('node:child_process')
  return execFileSync(packing === 'xz' ? 'xz' : 'bzip2', ['-c'], { input: text })
}

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

/** The only package of a folder that `makeRpms` filled, by its name. */
export async function rpmOf(folder: string, name: string): Promise<string> {
  const found = (await readdir(join(folder, 'Packages'))).find(file => file.startsWith(`${name}-`))
  return join(folder, 'Packages', found!)
}
