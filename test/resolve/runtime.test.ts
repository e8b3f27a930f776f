import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { lockRuntime } from '../../src/resolve/runtime.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-runtime-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it('caches digests until the file or the cache changes', async () => {
  const [tool, memory] = [join(folder, 'tool'), join(folder, 'memory.json')]
  const lock = async () => (await lockRuntime({ 'app/tool': tool }, { memory }))[0]
  await writeFile(tool, 'one')
  expect(await lock()).toEqual({ path: 'app/tool', mode: 0o755, digest: digestOf('one'), size: 3 })
  const text = await readFile(memory, 'utf8')
  await writeFile(memory, text.replace(digestOf('one'), digestOf('remembered')))
  expect((await lock())?.digest).toBe(digestOf('remembered'))
  await writeFile(tool, 'two')
  await utimes(tool, 1, 1)
  expect((await lock())?.digest).toBe(digestOf('two'))
  for (const rubbish of ['', '[]', '{"__proto__": 1}', text.replace('sha256:', 'md5:')]) {
    await writeFile(memory, rubbish)
    expect((await lock())?.digest).toBe(digestOf('two'))
  }
})

it('names the missing file of the tool', async () => {
  await expect(lockRuntime({ 'app/tool': join(folder, 'gone') })).rejects.toMatchObject({
    code: 'TOOL_MISSING',
    item: join(folder, 'gone'),
  })
})
