import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type DerivedForm, derived } from '../../src/content/derived.ts'
import { digestOf } from '../../src/core/digest.ts'

const form = {
  kind: 'test-words',
  version: 1,
  columns: { text: 'u8', ends: 'u32', small: 'u16', sizes: 'f64' },
} as const
const source = { digest: digestOf('the document') }
const words = {
  text: Buffer.from('onetwothree'),
  ends: Uint32Array.of(3, 6, 11),
  small: Uint16Array.of(1, 2, 3),
  sizes: Float64Array.of(2 ** 40, 0.5),
}

let root: string
let folder: string
let made: number
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'airgap-derived-'))
})
afterAll(() => rm(root, { recursive: true }))
beforeEach(async () => {
  folder = await mkdtemp(join(root, 'cache-'))
  made = 0
})

async function columns(options: { form?: DerivedForm<typeof form.columns>; variant?: string } = {}) {
  const given = options.variant === undefined ? source : { ...source, variant: options.variant }
  const found = await derived({ folder }, given, {
    form: options.form ?? form,
    make: async () => {
      made++
      return words
    },
  })
  return Object.fromEntries(Object.entries(found).map(([name, column]) => [name, [...column]]))
}

const expected = Object.fromEntries(Object.entries(words).map(([name, column]) => [name, [...column]]))

async function file(): Promise<string> {
  const [name] = await readdir(join(folder, 'derived', form.kind))
  return join(folder, 'derived', form.kind, name!)
}

describe('derived', () => {
  it('makes the columns once, and reads the same ones afterwards', async () => {
    expect(await columns()).toEqual(expected)
    expect(await columns()).toEqual(expected)
    expect(made).toBe(1)
  })

  it('leaves no other file behind', async () => {
    await columns()
    expect(await readdir(join(folder, 'derived', form.kind))).toHaveLength(1)
  })

  it('keeps empty columns', async () => {
    const empty = { kind: 'empty', version: 1, columns: { text: 'u8', ends: 'u32' } } as const
    const make = async () => {
      made++
      return { text: new Uint8Array(), ends: new Uint32Array() }
    }
    for (let i = 0; i < 2; i++) {
      const { text, ends } = await derived({ folder }, source, { form: empty, make })
      expect([text.length, ends.length]).toEqual([0, 0])
    }
    expect(made).toBe(1)
  })

  it('distinguishes variants of one document', async () => {
    await columns({ variant: 'amd64' })
    await columns({ variant: 'arm64' })
    await columns()
    expect(made).toBe(3)
    await columns({ variant: 'arm64' })
    expect(made).toBe(3)
  })

  it('makes them again for another version of the form, and when the columns differ', async () => {
    await columns()
    await columns({ form: { ...form, version: 2 } })
    expect(made).toBe(2)
    const { sizes: _, ...rest } = form.columns
    const narrower = { ...form, columns: rest }
    await derived({ folder }, source, {
      form: narrower,
      make: async () => {
        made++
        return words
      },
    })
    expect(made).toBe(3)
  })

  it('makes them again when the file names another version of this program', async () => {
    await columns()
    const bytes = await readFile(await file())
    const at = bytes.indexOf('"toolVersion":"')
    expect(at).toBeGreaterThan(0)
    bytes[at + '"toolVersion":"'.length]! ^= 1
    // also with a right checksum
    Buffer.from(digestOf(bytes.subarray(0, -32)).slice(7), 'hex').copy(bytes, bytes.length - 32)
    await writeFile(await file(), bytes)
    expect(await columns()).toEqual(expected)
    expect(made).toBe(2)
  })

  it('makes them again when any byte of the file is damaged', async () => {
    await columns()
    const good = await readFile(await file())
    for (let i = 0; i < good.length; i++) {
      const bytes = Buffer.from(good)
      bytes[i]! ^= 0x10
      await writeFile(await file(), bytes)
      expect(await columns()).toEqual(expected)
      expect(made).toBe(i + 2)
    }
  })

  it('makes them again when the file is cut off, at any length', async () => {
    await columns()
    const path = await file()
    const { length } = await readFile(path)
    for (let left = 0; left < length; left++) {
      await truncate(path, left)
      expect(await columns()).toEqual(expected)
      expect(made).toBe(left + 2)
    }
  })

  it('makes them where nothing can be read or written', async () => {
    await writeFile(join(folder, 'derived'), 'a file in the way')
    expect(await columns()).toEqual(expected)
    expect(await columns()).toEqual(expected)
    expect(made).toBe(2)
  })

  it('throws what making them throws', async () => {
    const failed = derived({ folder }, source, {
      form,
      make: () => Promise.reject(new Error('no such index')),
    })
    await expect(failed).rejects.toThrow('no such index')
    expect(await readdir(folder)).toEqual([])
  })
})
