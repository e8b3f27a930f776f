import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openBundle } from '../../src/bundle/reader.ts'
import { verifyBundle } from '../../src/bundle/verify.ts'
import type { Artifact } from '../../src/content/artifact.ts'
import { annotationKeys } from '../../src/core/media-types.ts'
import { buildProgram, run } from '../cli/offline-deploy/support.ts'
import { airgap } from '../e2e/lib/airgap.ts'
import { sampleImage, sampleStack, sampleTree, writeBundle } from '../site/support/sample-site.ts'

/** Files that an attacker plants in a tree: ones that a site trusts. */
const planted = sampleTree('tree/planted', {
  known_hosts: '10.0.0.1 ssh-ed25519 AAAA\n',
  'access/ssh': 'a password\n',
  'tools/bin/helm': { text: '#!/bin/sh\n', mode: '100755' },
})

const renamed = (artifacts: readonly Artifact[], annotations: Record<string, string>): Artifact[] =>
  artifacts.map(({ root, ...artifact }) => ({
    ...artifact,
    root: { ...root, annotations: { ...root.annotations, ...annotations } },
  }))

async function bundleWith(artifacts: readonly Artifact[]): Promise<{ folder: string; bundle: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-names-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const bundle = join(folder, 'b.tar')
  await writeBundle(bundle, [...sampleStack(), ...artifacts])
  return { folder, bundle }
}

describe('a bundle whose artifacts have hostile names (fault 108)', () => {
  const { refName, kind, tree, shard } = annotationKeys
  it.each<[string, Artifact[]]>([
    ...['tree/..', 'tree/.', '..', 'debs/../x', 'debs/a/b', '/etc', 'tree//a', 'tree/a\nb', 'tree\\a'].map(
      (name): [string, Artifact[]] => [JSON.stringify(name), renamed(planted, { [refName]: name })],
    ),
    ['a lone surrogate', renamed(planted, { [refName]: 'tree/\ud800' })],
    ['a name of 2,000 bytes', renamed(planted, { [refName]: `tree/${'x'.repeat(2000)}` })],
    ['the shard of a tree', renamed(planted, { [refName]: 'tree/..+1', [tree]: 'tree/..', [shard]: '1/2' })],
    ['a kind with an escape sequence', renamed(planted, { [kind]: 'tree\u001b[2J' })],
    ['an image', renamed([sampleImage('quay.io/a/b:1')], { [refName]: '../../a:1' })],
    ['a chart', renamed([sampleImage('quay.io/a/b:1')], { [refName]: 'charts/..:1', [kind]: 'chart' })],
  ])('is corrupt before anything else is read: %s', async (_what, artifacts) => {
    const { bundle } = await bundleWith(artifacts)
    const corrupt = { code: 'BUNDLE_CORRUPT', exitCode: 6 }
    await expect(openBundle(bundle)).rejects.toMatchObject(corrupt)
    await expect(verifyBundle(bundle)).rejects.toMatchObject(corrupt)
  })

  it.each(['a\nb', '../a', '', 'a b', `a${'x'.repeat(63)}`])(
    'is corrupt with the version %j',
    async version => {
      const folder = await mkdtemp(join(tmpdir(), 'airgap-names-'))
      onTestFinished(() => rm(folder, { recursive: true, force: true }))
      await writeBundle(join(folder, 'b.tar'), sampleStack(), version)
      await expect(openBundle(join(folder, 'b.tar'))).rejects.toMatchObject({ code: 'BUNDLE_CORRUPT' })
    },
  )

  describe('is refused by every command, and nothing is written', () => {
    let program: Awaited<ReturnType<typeof buildProgram>>
    beforeAll(async () => {
      program = await buildProgram()
    })
    afterAll(() => program.remove())

    it.each([
      'verify BUNDLE',
      'serve BUNDLE --site SITE --address 127.0.0.1 --listen 127.0.0.1 --registry-port 1 --http-port 2',
      'apply --bundle BUNDLE --site SITE --address 127.0.0.1 --listen 127.0.0.1 --node-root none --yes',
      'plan --bundle BUNDLE --site SITE --address 127.0.0.1 --node-root none',
      'receipt --bundle BUNDLE --site SITE',
    ])('offline-deploy %s', async words => {
      const { folder, bundle } = await bundleWith(renamed(planted, { [refName]: 'tree/..' }))
      const site = join(folder, 'site')
      const paths: Record<string, string> = { BUNDLE: bundle, SITE: site }
      const ran = await run(words.split(' ').map(word => paths[word] ?? word))
      expect(ran).toMatchObject({ code: 6, stderr: expect.stringContaining('BUNDLE_CORRUPT') })
      for (const trap of ['known_hosts', 'access', 'tools', 'deploy'])
        expect(existsSync(join(site, trap))).toBe(false)
    })

    it.each([
      'verify BUNDLE',
      'inspect BUNDLE',
      'diff BUNDLE BUNDLE',
      'extract BUNDLE TARGET',
      'extract --layout BUNDLE TARGET',
    ])('airgap %s', async words => {
      const { folder, bundle } = await bundleWith(renamed(planted, { [refName]: '..' }))
      await mkdir(join(folder, 'in'))
      await writeFile(join(folder, 'in', 'kept'), '')
      const paths: Record<string, string> = { BUNDLE: bundle, TARGET: join(folder, 'in', 'target') }
      const ran = await airgap(words.split(' ').map(word => paths[word] ?? word))
      expect(ran).toMatchObject({ code: 6, stderr: expect.stringContaining('BUNDLE_CORRUPT') })
      expect(await readdir(join(folder, 'in'))).toEqual(['kept'])
    })
  })
})
