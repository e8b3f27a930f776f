import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ClosedNetwork,
  networkPrograms,
  openClosedNetwork,
} from '../../scripts/lib/machines/closed-network.ts'
import { type ClosedSite, serveInClosedNetwork } from '../../scripts/lib/machines/closed-site.ts'
import { isRoot, missingPrograms, run } from '../../scripts/lib/run.ts'
import { git, repository } from '../kinds/git/support/repository.ts'
import { serveRepositories } from '../kinds/git/support/server.ts'
import { airgap } from './lib/airgap.ts'

const lacking = [...(isRoot ? [] : ['root']), ...missingPrograms(['curl', 'git', ...networkPrograms])]

/** A stock git on a machine of a closed network. */
describe.skipIf(lacking.length > 0)(
  `git in a closed network (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let work: string
    let network: ClosedNetwork
    let site: ClosedSite
    let commits: string[]

    beforeAll(async () => {
      work = await mkdtemp(join(tmpdir(), 'airgap-e2e-git-'))
      resources.defer(() => rm(work, { recursive: true, force: true }))
      const [library, charts] = ['library', 'charts'].map(name => repository({ name, root: work }))
      library!.commit({ 'templates/_names.tpl': 'names' })
      commits = [1, 2].map(n => charts!.commit({ 'values.yaml': `replicas: ${n}\n` }))
      charts!.git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', library!.bare, 'library')
      charts!.git('submodule', '--quiet', 'set-url', 'library', '../library.git')
      commits.push(charts!.commit({}))
      charts!.git('tag', '-a', 'v1.0.0', '-m', 'the first release')
      charts!.push('--tags')
      const upstream = await serveRepositories(work, { finally: close => resources.defer(close) })
      const entry = (name: string, more: string) =>
        `  - {name: ${name}, url: "https://git.example/charts.git", ref: v1.0.0, submodules: follow${more}}\n`
      await writeFile(
        join(work, 'stack.yaml'),
        [
          'apiVersion: airgap/v1\nname: git\nversion: 1.0.0\n',
          `sources: [{from: "https://git.example", to: ["${upstream.url}"]}]\n`,
          `git:\n${entry('charts', '')}${entry('history/charts', ', history: full')}`,
        ].join(''),
      )
      const common = ['-f', join(work, 'stack.yaml'), '--cache', join(work, 'cache')]
      for (const args of [
        ['lock', ...common],
        ['build', ...common, '--frozen', '--out', join(work, 'git.tar')],
      ]) {
        const { code, stderr } = await airgap(args)
        expect(code, stderr).toBe(0)
      }
      network = resources.use(await openClosedNetwork())
      site = resources.use(
        await serveInClosedNetwork(network, { folder: join(work, 'site'), bundles: [join(work, 'git.tar')] }),
      )
    }, 120_000)

    afterAll(async () => {
      await resources.disposeAsync()
    })

    const onNode = (...command: string[]) =>
      run(network.node.inside(['env', '-i', `PATH=${process.env['PATH']}`, 'HOME=/nonexistent', ...command]))

    it('clones a repository and its submodules from the site, and nothing tries to leave', async () => {
      const folder = join(work, 'clone')
      await onNode('git', 'clone', '--quiet', '--recurse-submodules', `${site.http}/git/charts`, folder)
      expect(git(folder, ['rev-list', 'HEAD'])).toBe(commits[2])
      expect(git(folder, ['describe', '--exact-match'])).toBe('v1.0.0')
      expect(await readFile(join(folder, 'values.yaml'), 'utf8')).toBe('replicas: 2\n')
      expect(await readFile(join(folder, 'library/templates/_names.tpl'), 'utf8')).toBe('names')
      expect(git(folder, ['fsck', '--full', '--strict'])).toBe('')
      expect(await network.escapeAttempts()).toBe(0)
    })

    it.each(['protocol 2', 'protocol 0', 'dumb'])('clones the whole history (%s)', async protocol => {
      const folder = await mkdtemp(join(work, 'history-'))
      const dumb = protocol === 'dumb' ? ['GIT_SMART_HTTP=0'] : []
      const settings = protocol === 'protocol 0' ? ['-c', 'protocol.version=0'] : []
      await onNode(...dumb, 'git', ...settings, 'clone', '--quiet', `${site.http}/git/history/charts`, folder)
      expect(git(folder, ['rev-list', 'HEAD']).split('\n')).toEqual(commits.toReversed())
      expect(await network.escapeAttempts()).toBe(0)
    })

    it('inspect shows repositories with their commits', async () => {
      const { stdout } = await airgap(['inspect', join(work, 'git.tar'), 'git'])
      expect(stdout).toContain(`v1.0.0 ${commits[2]}`)
      expect(
        stdout
          .trimEnd()
          .split('\n')
          .map(line => line.split(/\s+/)[0]),
      ).toEqual(['charts', 'library', 'history/charts', 'history/library'])
    })
  },
)
