import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'

const home = resolve(import.meta.dirname, '../..')

/** Runs lines of a program that may use `path`, and `limit(bytes)` of file size, in a process of its own. */
async function runProgram(lines: string): Promise<{ printed: string; content: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-append-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const program = `
    import { spawnSync } from 'node:child_process'
    import { statSync } from 'node:fs'
    const path = ${JSON.stringify(join(folder, 'file'))}
    const limit = bytes => spawnSync('prlimit', ['--pid', String(process.pid), '--fsize=' + bytes + ':unlimited'])
    ${lines}`
  const ran = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: home,
    encoding: 'utf8',
  })
  expect(ran.stderr).toBe('')
  return { printed: ran.stdout, content: await readFile(join(folder, 'file'), 'utf8') }
}

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0

it.skipIf(!hasPrlimit).each(['a+', 'w'])(
  'fault 123: a record that a full disk cut in half is gone before the next one opened with %s (needs prlimit)',
  async flags => {
    const { printed, content } = await runProgram(`
      import { open } from 'node:fs/promises'
      import { AppendedFile } from './src/core/appended-file.ts'
      const handle = await open(path, '${flags}')
      const file = new AppendedFile(handle, 0)
      await file.append('first record\\n')
      limit(20)
      await file.append('second record\\n', { sync: true }).catch(error => console.log(error.code, statSync(path).size))
      limit('unlimited')
      await file.append('third\\n')
      await handle.close()`)
    expect(printed).toBe('EFBIG 13\n')
    expect(content).toBe('first record\nthird\n')
  },
)

it.skipIf(!hasPrlimit)(
  'fault 123: a journal that was full once can be read and continued (needs prlimit)',
  async () => {
    const { printed, content } = await runProgram(`
      import { openJournal, readJournal } from './src/install/journal.ts'
      const entry = step => ({ step, key: 'sha256:' + 'a'.repeat(64), event: 'undone', at: '' })
      const journal = await openJournal(path, { site: 'here' })
      await journal.record(entry('a'))
      limit(statSync(path).size + 20)
      await journal.record(entry('b')).catch(error => console.log(error.code))
      limit('unlimited')
      await journal.record(entry('c'))
      await journal.close()
      console.log((await readJournal(path, { site: 'here' })).map(one => one.step).join())`)
    expect(printed).toBe('NO_SPACE\na,c\n')
    expect(content.endsWith('}\n')).toBe(true)
  },
)
