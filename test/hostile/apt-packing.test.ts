import { createWriteStream } from 'node:fs'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip, createZstdCompress, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missing, must } from '../kinds/deb/support/programs.ts'
import { errorOf } from '../kinds/deb/support/resolve.ts'
import { variantIndex as index, variants } from '../kinds/deb/support/variants.ts'

const lacking = missing('apt-ftparchive', 'dpkg-deb', 'gpg', 'xz', 'bzip2')
const MiB = 1024 * 1024

/** Compressed indexes of a correctly signed archive: damage and bombs. */
describe.skipIf(lacking.length > 0)(
  `hostile apt packing (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    let archive: Awaited<ReturnType<typeof variants>>
    let folder: string
    let lockFrom: typeof archive.lockFrom
    let expectRefused: typeof archive.expectRefused

    beforeAll(async () => {
      archive = await variants()
      folder = archive.folder
      ;({ lockFrom, expectRefused } = archive)
    })
    afterAll(() => archive.resources.disposeAsync())

    it('a compressed index that is damaged although its digest is right', async () => {
      for (const [name, bytes] of [
        ['Packages.gz', gzipSync('Package: app\n'.repeat(1000)).subarray(0, 40)],
        ['Packages.xz', Buffer.from('fd377a585a0000ff', 'hex')],
        ['Packages.zst', zstdCompressSync(Buffer.alloc(1000)).subarray(0, 10)],
        ['Packages.bz2', Buffer.from('BZh9 and no block')],
      ] as const) {
        const files = async (copy: string) => {
          for (const good of ['Packages', 'Packages.gz']) await rm(join(copy, index, good))
          await writeFile(join(copy, index, name), bytes)
        }
        await expectRefused({ files }, { code: 'UPSTREAM_INVALID', why: /cannot be unpacked/ })
      }
    })

    describe('fault 36: bombs', () => {
      const zeros = 192 * MiB
      const bombs: Record<string, string> = {}

      beforeAll(async () => {
        const bomb = join(folder, 'bomb')
        const source = async function* () {
          for (let i = 0; i < zeros; i += MiB) yield Buffer.alloc(MiB)
        }
        await pipeline(source, createGzip(), createWriteStream(`${bomb}.gz`))
        await pipeline(source, createZstdCompress(), createWriteStream(`${bomb}.zst`))
        await must('sh', ['-c', `head -c ${zeros} /dev/zero | xz -0 > "${bomb}.xz"`])
        await must('sh', ['-c', `head -c ${zeros} /dev/zero | bzip2 > "${bomb}.bz2"`])
        for (const packing of ['gz', 'zst', 'xz', 'bz2']) bombs[packing] = `${bomb}.${packing}`
      })

      it.each(['gz', 'zst', 'xz', 'bz2'])('.%s stops at the size that Release states', async packing => {
        const files = async (copy: string) => {
          await rm(join(copy, index, 'Packages.gz'))
          await cp(bombs[packing]!, join(copy, index, `Packages.${packing}`))
        }
        const [before, start] = [process.memoryUsage().rss, performance.now()]
        const error = await errorOf(lockFrom({ files }))
        expect([error.code, error.exitCode]).toEqual(['SIZE_MISMATCH', 6])
        expect(performance.now() - start).toBeLessThan(20_000)
        expect(process.memoryUsage().rss - before).toBeLessThan(150 * MiB)
      })

      it.each(['gz', 'zst', 'xz', 'bz2'])(
        '.%s also stops where Release states the compressed size only',
        async packing => {
          const files = async (copy: string) => {
            for (const name of ['Packages', 'Packages.gz']) await rm(join(copy, index, name))
            await cp(bombs[packing]!, join(copy, index, `Packages.${packing}`))
          }
          const before = process.memoryUsage().rss
          const error = await errorOf(lockFrom({ files }))
          expect([error.code, error.exitCode]).toEqual(['SIZE_MISMATCH', 6])
          expect(error.likely).toContain('bomb')
          expect(process.memoryUsage().rss - before).toBeLessThan(150 * MiB)
        },
      )

      it('an .xz that requires a dictionary of 1.5 GiB is refused', async () => {
        const files = async (copy: string) => {
          const path = join(copy, index, 'Packages')
          await must('sh', ['-c', `xz --lzma2=dict=1500MiB < "${path}" > "${path}.xz"`])
          // another compression would be tried
          for (const good of [path, `${path}.gz`]) await rm(good)
        }
        await expectRefused({ files }, { code: 'UPSTREAM_INVALID', why: /cannot be unpacked/ })
      })
    })

    it.each(['xz', 'gz', 'zst', 'bz2', 'plain'])(
      'an index compressed as %s is read, whether or not its uncompressed form is listed',
      async packing => {
        for (const listed of [true, false]) {
          const files = async (copy: string) => {
            const path = join(copy, index, 'Packages')
            const text = await readFile(path)
            await rm(`${path}.gz`)
            if (packing === 'plain') return
            const programs: Record<string, string> = { xz: 'xz', gz: 'gzip', bz2: 'bzip2' }
            if (packing === 'zst') await writeFile(`${path}.zst`, zstdCompressSync(text))
            else await must(programs[packing]!, ['--keep', path])
            if (!listed) await rm(path)
          }
          expect((await lockFrom({ files })).names).toEqual(['app'])
        }
      },
    )
  },
)
