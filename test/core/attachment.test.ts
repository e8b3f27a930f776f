import { readFile, stat } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { attachmentOf } from '../../src/core/attachment.ts'
import { tempFolder } from '../bundle/samples.ts'

describe('the attachment of a disk', () => {
  it('names the boot of this machine, and is the same every time', async () => {
    const folder = await tempFolder()
    const found = await attachmentOf(folder)
    // a file system of its own kind (of a container, over a network) has none
    if (found === undefined) return expect((await stat(folder)).dev).toBeGreaterThan(0)
    expect(found).toContain((await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim())
    expect(await attachmentOf(folder)).toBe(found)
  })

  it.each(['/proc/version', '/sys/kernel', '/nowhere/at/all'])('is unknown for %s', async path => {
    expect(await attachmentOf(path)).toBeUndefined()
  })
})
