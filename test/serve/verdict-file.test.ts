import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { Digest } from '../../src/core/digest.ts'
import {
  isRight,
  openVerdictFile,
  readVerdictFile,
  type VerdictSubject,
  writeAllRight,
} from '../../src/serve/verdict-file.ts'
import { tempFolder } from '../bundle/samples.ts'

const subject: VerdictSubject = {
  bundle: `sha256:${'b'.repeat(64)}`,
  state: '1:2 100 5 6',
  attachment: 'boot disk 1',
  blobs: 3,
}
const at = '2026-11-27T10:00:00.000Z'
const digest = (name: string | number): Digest =>
  `sha256:${createHash('sha256').update(String(name)).digest('hex')}`
const [a, b, c] = [digest('a'), digest('b'), digest('c')] as const

/** A file with `a` right and `b` damaged. */
async function written(): Promise<string> {
  const path = join(await tempFolder(), 'verdicts')
  const file = await openVerdictFile(path, subject)
  file.add({ type: 'right', digest: a, at })
  file.add({ type: 'right', digest: b, at })
  file.add({ type: 'damaged', digest: b, at })
  await file.close()
  return path
}

async function knownIn(path: string, wanted = subject): Promise<{ right: Digest[]; damaged: Digest[] }> {
  const file = await openVerdictFile(path, wanted)
  const { known } = file
  await file.close()
  return { right: [a, b, c].filter(one => isRight(known, one)), damaged: [...known.damaged.keys()] }
}

describe('a file of verdicts', () => {
  it('has what was found out before, and can be read by its owner alone', async () => {
    const path = await written()
    expect(await knownIn(path)).toEqual({ right: [a], damaged: [b] })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const file = await openVerdictFile(path, subject)
    file.add({ type: 'right', digest: c, at })
    file.add({ type: 'scrubbed', at })
    await file.close()
    expect(await knownIn(path)).toEqual({ right: [a, c], damaged: [b] })
    expect((await readVerdictFile(path))?.known.scrubbed).toBe(at)
  })

  it('says in one line that all content is right; damage found later is an exception', async () => {
    const path = join(await tempFolder(), 'verdicts')
    await writeAllRight(path, { subject, at })
    expect(await knownIn(path)).toEqual({ right: [a, b, c], damaged: [] })
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(3)
    const file = await openVerdictFile(path, subject)
    file.add({ type: 'damaged', digest: b, at })
    await file.close()
    expect(await knownIn(path)).toEqual({ right: [a, c], damaged: [b] })
  })

  it.each<[string, Partial<VerdictSubject>]>([
    ['of another bundle', { bundle: `sha256:${'c'.repeat(64)}` }],
    ['of a file that was written to', { state: '1:2 100 5 7' }],
    ['of another file', { state: '1:3 100 5 6' }],
    ['of a disk that was connected again, or before a reboot', { attachment: 'boot disk 2' }],
    ['of a disk about which nothing is known', { attachment: null }],
  ])('%s is discarded', async (_name, other) => {
    const path = await written()
    expect(await knownIn(path, { ...subject, ...other })).toEqual({ right: [], damaged: [] })
    expect((await readVerdictFile(path))?.subject).toEqual({ ...subject, ...other })
  })

  it('that nobody may trust again is not trusted, although nothing has changed', async () => {
    const path = join(await tempFolder(), 'verdicts')
    const unknown = { ...subject, attachment: null }
    await writeAllRight(path, { subject: unknown, at })
    expect(await knownIn(path, unknown)).toEqual({ right: [], damaged: [] })
  })

  it('forgets everything about another state', async () => {
    const path = await written()
    const file = await openVerdictFile(path, subject)
    file.restart({ ...subject, state: 'later' })
    file.add({ type: 'right', digest: c, at })
    await file.close()
    expect(await knownIn(path, { ...subject, state: 'later' })).toEqual({ right: [c], damaged: [] })
  })

  it('counts up to the byte at which it was torn off, and is whole again after the next start', async () => {
    const path = await written()
    const whole = await readFile(path)
    for (let size = whole.length; size >= 0; size -= 7) {
      await writeFile(path, whole)
      await truncate(path, size)
      const { right } = await knownIn(path)
      expect(right.every(one => one === a || one === b)).toBe(true)
      await appendFile(path, '')
      const file = await openVerdictFile(path, subject)
      file.add({ type: 'right', digest: c, at })
      await file.close()
      expect((await knownIn(path)).right).toContain(c)
    }
  })

  it('counts up to the line that was changed', async () => {
    const path = await written()
    const text = await readFile(path, 'utf8')
    const lines = text.split('\n')
    for (let line = 0; line < lines.length - 1; line++) {
      const edited = lines.with(
        line,
        lines[line]!.replace(/.(?=.{20}$)/, x => (x === '0' ? '1' : '0')),
      )
      await writeFile(path, edited.join('\n'))
      const found = await readVerdictFile(path)
      const findings = (found?.known.right.size ?? 0) + (found?.known.damaged.size ?? 0)
      expect(findings).toBeLessThanOrEqual(Math.max(0, line - 1))
    }
    // a line more, that somebody wrote by hand
    await writeFile(path, `${text}right ${c} 0123456789abcdef\n`)
    expect(await knownIn(path)).toEqual({ right: [a], damaged: [b] })
  })

  it.each(['', '\n', 'nonsense\n', '{"format":1}\n', '\0'.repeat(4096)])(
    'with %j in it counts for nothing',
    async text => {
      const path = join(await tempFolder(), 'verdicts')
      await writeFile(path, text)
      expect(await knownIn(path)).toEqual({ right: [], damaged: [] })
      expect((await readVerdictFile(path))?.subject).toEqual(subject)
    },
  )

  it('is intact whenever its process is killed', async () => {
    const path = join(await tempFolder(), 'verdicts')
    const child = fileURLToPath(new URL('verdict-file-child.ts', import.meta.url))
    const all = new Set(Array.from({ length: 200_000 }, (_, i) => digest(i)))
    for (const delay of [300, 1_200, 1_500, 2_100, 2_300]) {
      const running = spawn(process.execPath, [child, path, JSON.stringify(subject)], { stdio: 'ignore' })
      await new Promise(resolve => setTimeout(resolve, delay))
      running.kill('SIGKILL')
      await new Promise(resolve => running.once('close', resolve))
      const file = await openVerdictFile(path, subject)
      expect([...file.known.right].every(one => all.has(one))).toBe(true)
      await file.close()
    }
    expect((await readVerdictFile(path))?.known.right.size).toBeGreaterThan(0)
  }, 60_000)
})
