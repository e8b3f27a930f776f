import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { openSiteKey } from '../../src/site/site-key.ts'
import { git, repository, temporary } from '../kinds/git/support/repository.ts'
import { lock } from '../kinds/git/support/resolve.ts'
import { bundleOf, serveContents } from '../kinds/git/support/site.ts'
import { testContext } from '../kinds/support/context.ts'

const run = promisify(execFile)

/** The library that Flux clones with; built here from the Go module proxy. */
const folder = join(import.meta.dirname, 'go-git')
const binary = join(mkdtempSync(join(tmpdir(), 'airgap-go-git-')), 'clone')
afterAll(() => rmSync(dirname(binary), { recursive: true, force: true }))
const built = spawnSync('go', ['build', '-o', binary, '.'], {
  cwd: folder,
  encoding: 'utf8',
  timeout: 110_000,
})
const lacking =
  built.status === 0 ? '' : (built.error?.message ?? built.stderr.split('\n').slice(0, 2).join(' '))

/** The server runs in this process: it must not be blocked. */
async function clone(url: string, ref: string, depth: number, to: string): Promise<string> {
  return (await run(binary, [url, ref, String(depth), to], { timeout: 30_000 })).stdout.trim()
}

describe.skipIf(lacking !== '')(`go-git (needs ${lacking || 'nothing more'})`, () => {
  it.each([0, 1])('clones branches, tags and commits from the site, depth %i', async depth => {
    const upstream = repository()
    const [first, second] = [1, 2].map(n => upstream.commit({ 'charts/values.yaml': `n: ${n}\n` }))
    upstream.git('tag', '-a', 'v1', '-m', 'the first')
    upstream.git('tag', 'light', first!)
    upstream.push('--tags')
    const context = await testContext()
    const items = await Promise.all(
      (['shallow', 'full'] as const).flatMap(history =>
        [
          ['branch', 'main'],
          ['tag', 'v1'],
          ['light', 'light'],
          ['commit', first!],
        ].map(([name, ref]) => lock(upstream.url, ref!, { context, history, name: `${history}/${name}` })),
      ),
    )
    const key = await openSiteKey({ folder: temporary(), now: () => new Date() })
    const { url } = await serveContents([await bundleOf(items, context)], key)
    for (const history of ['shallow', 'full']) {
      for (const [name, ref, wanted] of [
        ['branch', 'refs/heads/main', `${second} refs/heads/main`],
        ['branch', '', `${second} refs/heads/main`],
        ['tag', 'refs/tags/v1', `${second} HEAD`],
        ['tag', '', `${second} refs/heads/bundle`],
        ['light', 'refs/tags/light', `${first} HEAD`],
        ['commit', '', `${first} refs/heads/bundle`],
      ] as const) {
        const to = join(temporary(), 'clone')
        const shown = `${history}/${name} ${ref}`
        expect(await clone(`${url}/git/${history}/${name}`, ref, depth, to), shown).toBe(wanted)
        expect(git(to, ['status', '--porcelain']), shown).toBe('')
      }
    }
  })
})
