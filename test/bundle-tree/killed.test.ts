import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { layDown, runCollector, script } from './collector.ts'

/** programs that the collector calls */
const programs = [
  'awk',
  'cat',
  'chmod',
  'date',
  'find',
  'grep',
  'head',
  'mkdir',
  'mktemp',
  'mv',
  'nvidia-smi',
  'rm',
  'tail',
]

/**
 * Replaces each program by one that counts calls: call number `$AT` writes half of its output, then kills `$VICTIM`: `group`, the
 * collector with all of its children, as a kubelet does; or `self`, as the kernel does when it runs out of memory.
 */
const stand_in = (program: string) => `#!/bin/sh
echo ${program} >>"$COUNT"
[ "$(wc -l <"$COUNT")" -eq "$AT" ] || PATH=$REAL exec ${program} "$@"
export PATH="$REAL"
half=$(mktemp)
${program} "$@" >"$half"
head -c $(($(wc -c <"$half") / 2)) "$half"
rm "$half"
[ "$VICTIM" = group ] && kill -9 0
kill -9 $$
`

describe('a collector that is killed', () => {
  let folder: string
  let base: Record<string, string>
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gpu-killed-'))
    const bin = join(folder, 'bin')
    await mkdir(bin)
    for (const program of programs) {
      await writeFile(join(bin, program), stand_in(program))
      await chmod(join(bin, program), 0o755)
    }
    const processes = Object.fromEntries([0, 1, 2, 3, 4, 5].map(gpu => [`${5000 + gpu}`, '0::/\n']))
    const env = await layDown({ xml: 'eight.xml', pmon: 'eight.pmon', processes }, folder)
    base = {
      ...env,
      NVIDIA_SMI: 'nvidia-smi',
      REAL: `${dirname(env['NVIDIA_SMI']!)}:${env['PATH']}`,
      PATH: `${bin}:${env['PATH']}`,
      COUNT: join(folder, 'count'),
      TMPDIR: folder,
    }
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const published = () => join(base['TEXTFILE_FOLDER']!, 'gpu_sessions.prom')
  /** A complete, undisturbed run at that time. */
  async function whole(now: string, change: Record<string, string> = {}): Promise<string> {
    const { status, stderr } = runCollector(['sh'], { ...base, PATH: base['REAL']!, NOW: now, ...change })
    expect(status, stderr).toBe(0)
    return readFile(published(), 'utf8')
  }
  /** A run that is killed at call number `at`; returns true if it got that far. */
  async function killed(at: number, victim: string): Promise<boolean> {
    await writeFile(base['COUNT']!, '')
    const env = { ...base, NOW: '2', AT: `${at}`, VICTIM: victim }
    // in its own process group, so that nothing else is killed
    const child: ChildProcess = spawn('sh', [script], { env, detached: true, stdio: 'ignore' })
    await once(child, 'exit')
    return (await readFile(base['COUNT']!, 'utf8')).split('\n').length > at
  }

  it.each(['group', 'self'])(
    'leaves either the old file or the new one, complete, at each of its steps (%s)',
    async victim => {
      const later = await whole('2')
      const withoutAnswer = await whole('2', { NVIDIA_SMI: 'false' })
      // queried separately, and not known for every GPU
      const withoutUse = later.replaceAll(/^gpu_process_utilization\{.*\n/gm, '')
      const earlier = await whole('1')
      const good = { earlier, later, withoutAnswer, withoutUse }
      expect(new Set(Object.values(good)).size).toBe(4)
      const found = new Set<string>()
      let at = 1
      for (; await killed(at, victim); at++) {
        const text = await readFile(published(), 'utf8')
        const which = Object.entries(good).find(([, whole]) => whole === text)
        expect(which, `step ${at}, ${await readFile(base['COUNT']!, 'utf8')}: ${text}`).toBeDefined()
        found.add(which![0])
        await writeFile(published(), earlier)
      }
      expect(at).toBeGreaterThan(15)
      expect(found).toContain('earlier')
      expect(found).toContain('later')
    },
  )

  it('leaves nothing behind for good: a later run removes it', async () => {
    const out = base['TEXTFILE_FOLDER']!
    const left = join(out, '.gpu_sessions.prom.4711')
    const running = join(out, '.gpu_sessions.prom.4712')
    await writeFile(left, 'half')
    await writeFile(running, 'half')
    const hourAgo = Date.now() / 1000 - 3600
    await utimes(left, hourAgo, hourAgo)
    await whole('3')
    // a file that was just written belongs to another run
    expect((await readdir(out)).filter(name => name.includes('471'))).toEqual(['.gpu_sessions.prom.4712'])
    expect((await stat(published())).mode & 0o777).toBe(0o644)
  })
})
