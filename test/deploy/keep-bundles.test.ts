import { spawnSync } from 'node:child_process'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect, it } from 'vitest'
import type { DeployContext } from '../../src/deploy/context.ts'
import { keepBundles, onOtherDisk, removeCopies } from '../../src/deploy/keep-bundles.ts'
import { locateSite, programFolder } from '../../src/deploy/locate.ts'
import { setUp } from '../../src/deploy/set-up.ts'
import { buildFrom, lockOf, stackOf } from '../assemble/support.ts'
import { testContext } from '../install/support.ts'

const context: DeployContext = {
  ...testContext(),
  environment: {},
  askSecret: undefined,
  self: ['from-the-medium'],
}

it('copies bundle and program whole, and not again; a damaged copy can be removed', async () => {
  const stack = await stackOf('trees: [{name: deploy, from: deploy}]\n', {
    'deploy/x': 'x',
    launcher: '#!/bin/sh\necho kept "$@"\n',
  })
  stack.runtime = { 'offline-deploy/offline-deploy': join(stack.folder, 'launcher') }
  const bundle = await buildFrom(stack, await lockOf(stack))
  const site = join(stack.folder, 'site')
  const found = await setUp({ bundle: [bundle], site, address: '127.0.0.1', nodeRoot: 'none' })
  const { setup, context: after } = await keepBundles(found, context)
  const [copy = ''] = setup.config.bundles
  expect(copy).toMatch(/\/site\/bundles\/demo-1\.0\.0-[0-9a-f]{12}\.tar$/)
  expect(await readFile(copy)).toEqual(await readFile(bundle))
  expect(await readdir(join(site, 'bundles'))).toEqual([basename(copy)])
  const [launcher = ''] = after.self
  expect(spawnSync(launcher, ['status'], { encoding: 'utf8' }).stdout).toBe('kept status\n')
  // the copied program is in the state folder, and works on it
  expect(programFolder()).toBeUndefined()
  expect(locateSite(undefined, { bundles: [], program: join(site, 'offline-deploy') })).toBe(site)
  expect(await onOtherDisk(setup)).toEqual([])

  const { mtimeMs } = await stat(copy)
  expect((await keepBundles(found, context)).setup.config.bundles).toEqual([copy])
  expect((await keepBundles(setup, context)).setup.config.bundles).toEqual([copy])
  expect((await stat(copy)).mtimeMs).toBe(mtimeMs)
  await writeFile(copy, (await readFile(bundle)).subarray(0, -512))
  await keepBundles(found, context)
  expect(await readFile(copy)).toEqual(await readFile(bundle))
  await removeCopies(setup)
  expect(await readdir(join(site, 'bundles'))).toEqual([])
  expect((await stat(bundle)).isFile()).toBe(true)
})
