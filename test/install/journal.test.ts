import { appendFile, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { type JournalEntry, openJournal, readJournal } from '../../src/install/journal.ts'
import { tempFolder } from './support.ts'

const entry = (step: string, event: JournalEntry['event'] = 'done'): JournalEntry => ({
  step,
  key: digestOf(step),
  event,
  at: '2026-01-01T00:00:00.000Z',
})

async function written(path: string, entries: JournalEntry[]): Promise<void> {
  const journal = await openJournal(path, { site: 'here' })
  for (const each of entries) await journal.record(each)
  await journal.close()
}

describe('journal', () => {
  it('keeps its entries from run to run', async () => {
    const path = join(await tempFolder(), 'journal.jsonl')
    await written(path, [entry('a', 'started'), entry('a')])
    await written(path, [entry('b')])
    const journal = await openJournal(path, { site: 'here' })
    expect(journal.entries()).toEqual([entry('a', 'started'), entry('a'), entry('b')])
    expect(journal.last('a')?.event).toBe('done')
    expect(journal.last('c')).toBeUndefined()
    await journal.close()
    expect(await readJournal(path, { site: 'here' })).toHaveLength(3)
  })

  it('is empty where there is none, and is not created by reading', async () => {
    const path = join(await tempFolder(), 'journal.jsonl')
    expect(await readJournal(path, { site: 'here' })).toEqual([])
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('fault 103: truncated at any byte, keeps the whole lines and continues', async () => {
    const folder = await tempFolder()
    const path = join(folder, 'journal.jsonl')
    await written(path, [entry('a'), entry('b'), entry('c')])
    const whole = await readFile(path)
    for (let size = 0; size <= whole.length; size += 7) {
      const cut = join(folder, `cut-${size}.jsonl`)
      await writeFile(cut, whole)
      await truncate(cut, size)
      const lines = whole.subarray(0, size).toString().split('\n').length - 1
      await written(cut, [entry('d')])
      const steps = (await readJournal(cut, { site: 'here' })).map(each => each.step)
      expect(steps).toEqual([...['a', 'b', 'c'].slice(0, Math.max(0, lines - 1)), 'd'])
    }
  })

  it('fault 103: refuses the journal of another site', async () => {
    const path = join(await tempFolder(), 'journal.jsonl')
    await written(path, [entry('a')])
    const refusal = { code: 'JOURNAL_INVALID', exitCode: 2, next: expect.stringContaining('--site') }
    await expect(openJournal(path, { site: 'elsewhere' })).rejects.toMatchObject(refusal)
    await expect(readJournal(path, { site: 'elsewhere' })).rejects.toMatchObject(refusal)
  })

  it('fault 103: refuses the journal of a newer version, and names the program that reads it', async () => {
    const path = join(await tempFolder(), 'journal.jsonl')
    await writeFile(path, '{"journal":2,"site":"here"}\n')
    await expect(openJournal(path, { site: 'here' })).rejects.toMatchObject({
      code: 'JOURNAL_INVALID',
      message: expect.stringContaining('version 2'),
      next: expect.stringContaining('newer'),
    })
  })

  it.each(['not JSON', '[]', '{"step":"a"}', '{"step":"a","key":"x","event":"done"}', '{"step":1}', 'null'])(
    'refuses %j in the middle, naming the line',
    async line => {
      const path = join(await tempFolder(), 'journal.jsonl')
      await written(path, [entry('a')])
      await appendFile(path, `${line}\n${JSON.stringify(entry('b'))}\n`)
      await expect(openJournal(path, { site: 'here' })).rejects.toMatchObject({
        code: 'JOURNAL_INVALID',
        item: `${path}:3`,
      })
    },
  )

  it('throws only its own error on arbitrary bytes (property)', async () => {
    const path = join(await tempFolder(), 'journal.jsonl')
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async bytes => {
        await writeFile(path, bytes)
        try {
          await readJournal(path, { site: 'here' })
        } catch (error) {
          expect(error).toMatchObject({ code: 'JOURNAL_INVALID' })
        }
      }),
      { numRuns: 50 },
    )
  })
})
