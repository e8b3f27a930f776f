import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { appendAudit, openAuditLog, readAudit } from '../../src/access/audit.ts'
import { tempFolder } from '../bundle/samples.ts'

const now = () => new Date(Date.UTC(2026, 0, 1))
const event = { what: 'login', result: 'ok', user: 'ci', address: '10.0.0.1' } as const

async function logPath(): Promise<string> {
  return join(await tempFolder(), 'audit', 'audit.jsonl')
}

it('has one line of JSON for each event, which only its owner reads', async () => {
  const path = await logPath()
  const log = openAuditLog(path, { now })
  log.note(event)
  log.note({ ...event, user: `x\n{"what":"push"}\u001b[2J\u202e${'y'.repeat(1_000)}`, result: 'failed' })
  await log.close()
  const text = await readFile(path, 'utf8')
  expect(text.split('\n')).toHaveLength(3)
  expect(text).not.toMatch(/[\u001b\u202e]/)
  expect(text.length).toBeLessThan(1_000)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await stat(dirname(path))).mode & 0o777).toBe(0o700)
  const { events } = await readAudit(path, { last: 10 })
  expect(events[0]).toEqual({ at: '2026-01-01T00:00:00.000Z', ...event })
})

it('keeps whole lines of several writers at once', async () => {
  const path = await logPath()
  const log = openAuditLog(path, { now })
  await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      log.note(event)
      await appendAudit(path, { what: 'apply', result: 'ok', user: 'root', subject: String(i) }, now)
    }),
  )
  await log.close()
  const { events, unreadable } = await readAudit(path, { last: 1_000 })
  expect([events.length, unreadable]).toEqual([100, 0])
})

it('loses no event after one that was torn', async () => {
  const path = await logPath()
  await appendAudit(path, event, now)
  await appendAudit(path, event, now)
  await truncate(path, (await stat(path)).size - 20)
  await appendAudit(path, { ...event, what: 'push' }, now)
  const { events, unreadable } = await readAudit(path, { last: 10 })
  expect(events.map(({ what }) => what)).toEqual(['login', 'push'])
  expect(unreadable).toBe(1)
})

it('is rotated by size, and the oldest files are removed', async () => {
  const path = await logPath()
  for (let i = 0; i < 40; i++) {
    const log = openAuditLog(path, { now: () => new Date(1_700_000_000_000 + i), limit: 100 })
    log.note({ ...event, subject: String(i) })
    await log.close()
    await appendFile(path, '')
  }
  expect((await readdir(dirname(path))).length).toBeLessThanOrEqual(10)
  const { events } = await readAudit(path, { last: 3 })
  expect(events.map(({ subject }) => subject)).toEqual(['37', '38', '39'])
})

it('reports once that it cannot be written, and how much is missing afterwards', async () => {
  const folder = await tempFolder()
  const failures: unknown[] = []
  const log = openAuditLog(join(folder, 'missing'.repeat(50), 'audit.jsonl'), {
    now,
    failed: error => failures.push(error),
  })
  for (let i = 0; i < 3; i++) {
    log.note(event)
    await log.close()
  }
  expect(failures).toHaveLength(1)
})

it('is read as the log of a stranger: no links, and no lines that are no events', async () => {
  const path = await logPath()
  await appendAudit(path, event, now)
  const strange = [
    'null',
    '5',
    '{}',
    '[]',
    '{"at":5}',
    JSON.stringify({ at: '2026-01-01T00:00:00.000Z', ...event, user: {} }),
  ]
  await appendFile(path, `${strange.join('\n')}\n`)
  expect(await readAudit(path, { last: 10 })).toMatchObject({ events: [event], unreadable: strange.length })
  const elsewhere = join(await tempFolder(), 'elsewhere.jsonl')
  await rename(path, elsewhere)
  await symlink(elsewhere, path)
  await expect(readAudit(path, { last: 10 })).rejects.toMatchObject({
    item: path,
    message: expect.stringContaining('symbolic link'),
  })
  const other = join(await tempFolder(), 'audit')
  await mkdir(dirname(other), { recursive: true })
  await symlink(dirname(path), other)
  await writeFile(
    join(dirname(path), 'other.jsonl'),
    `${JSON.stringify({ at: now().toISOString(), ...event })}\n`,
  )
  expect(await readAudit(join(other, 'other.jsonl'), { last: 10 })).toEqual({ events: [], unreadable: 0 })
})
