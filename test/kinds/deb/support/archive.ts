import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { must } from './programs.ts'

/** A package to make: control fields beside Package, Version, Architecture and Maintainer. */
export interface TestPackage {
  name: string
  version?: string
  architecture?: string
  fields?: Record<string, string>
  /** random bytes that it installs */
  contentSize?: number
}

/** Makes a .deb in the folder, with dpkg-deb. Returns its path. */
export async function makeDeb(folder: string, deb: TestPackage): Promise<string> {
  const { name, version = '1.0', architecture = 'all', fields = {}, contentSize = 0 } = deb
  const work = join(folder, `.work-${name}-${version.replace(':', '_')}-${architecture}`)
  await mkdir(join(work, 'DEBIAN'), { recursive: true })
  if (contentSize > 0) {
    await mkdir(join(work, 'opt'))
    await writeFile(join(work, 'opt', name), randomBytes(contentSize))
  }
  const control = {
    Package: name,
    Version: version,
    Architecture: architecture,
    Maintainer: 'Nobody <nobody@example.org>',
    ...fields,
    Description: `test package ${name}`,
  }
  const text = Object.entries(control).map(([key, value]) => `${key}: ${value}\n`)
  await writeFile(join(work, 'DEBIAN/control'), text.join(''))
  const file = join(folder, `${name}_${version.replace(/^[0-9]+:/, '')}_${architecture}.deb`)
  await must('dpkg-deb', ['--root-owner-group', '-Znone', '--build', work, file])
  return file
}

/** gpg with a home of its own. */
export class Gpg implements AsyncDisposable {
  readonly home: string

  private constructor(home: string) {
    this.home = home
  }

  static async open(home: string): Promise<Gpg> {
    await mkdir(home, { recursive: true, mode: 0o700 })
    return new Gpg(home)
  }

  /** Runs gpg without questions; returns stdout. */
  run(...args: string[]): Promise<string> {
    const common = ['--batch', '--yes', '--pinentry-mode', 'loopback', '--passphrase', '']
    return must('gpg', [...common, ...args], { env: { GNUPGHOME: this.home } })
  }

  /** Makes a signing key; returns its fingerprint. `expires` as gpg says it: `never`, `seconds=60`, `2020-01-01`. */
  async makeKey(
    user: string,
    options: { expires?: string; at?: string; algorithm?: string } = {},
  ): Promise<string> {
    const { expires = 'never', at, algorithm = 'ed25519' } = options
    const past = at === undefined ? [] : ['--faked-system-time', at]
    await this.run(
      ...past,
      '--quick-generate-key',
      `${user} <${user}@example.org>`,
      algorithm,
      'sign',
      expires,
    )
    return this.fingerprint(user)
  }

  async fingerprint(user: string): Promise<string> {
    const listed = await this.run('--with-colons', '--list-keys', `${user}@example.org`)
    return /^fpr:+([0-9A-F]{40}):/m.exec(listed)![1]!
  }

  async exportTo(path: string, ...users: string[]): Promise<string> {
    await writeFile(path, await this.run('--armor', '--export', ...users))
    return path
  }

  /** Its agent ends with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await must('gpgconf', ['--homedir', this.home, '--kill', 'all'])
  }
}

export interface ArchiveOptions {
  suite: string
  packages: TestPackage[]
  /** options of apt-ftparchive release, without APT::FTPArchive::Release:: */
  release?: Record<string, string>
  /** changes to Packages before it is signed */
  packagesText?: (text: string) => string
  /** the packed forms, beside Packages and Packages.gz */
  extra?: (packages: string) => Record<string, Buffer>
  /** `Packages` itself is listed in Release */
  plain?: boolean
}

/** Makes an archive with one component `main` for amd64, with stock tools. Sign it with `signArchive`. */
export async function makeArchive(folder: string, options: ArchiveOptions): Promise<void> {
  const index = `dists/${options.suite}/main/binary-amd64`
  await mkdir(join(folder, 'pool'), { recursive: true })
  await mkdir(join(folder, index), { recursive: true })
  await Promise.all(options.packages.map(deb => makeDeb(join(folder, 'pool'), deb)))
  const listed = await must('apt-ftparchive', ['packages', 'pool'], { cwd: folder })
  const text = options.packagesText?.(listed) ?? listed
  const files = {
    Packages: Buffer.from(text),
    'Packages.gz': gzipSync(text),
    ...options.extra?.(text),
  }
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, index, name), bytes)
  await writeRelease(folder, options)
}

/** (Re)writes Release over the indexes as they are on disk. */
export async function writeRelease(
  folder: string,
  { suite, release = {} }: Pick<ArchiveOptions, 'suite' | 'release'>,
): Promise<void> {
  const fields = { Suite: suite, Codename: suite, Components: 'main', Architectures: 'amd64', ...release }
  const settings = Object.entries(fields).flatMap(([key, value]) => [
    '-o',
    `APT::FTPArchive::Release::${key}=${value}`,
  ])
  const text = await must('apt-ftparchive', [...settings, 'release', `dists/${suite}`], { cwd: folder })
  // apt-ftparchive lists what lies there, its own earlier output as well
  const own = text.split('\n').filter(line => !/ (?:In)?Release(?:\.gpg)?$/.test(line))
  await writeFile(join(folder, 'dists', suite, 'Release'), own.join('\n'))
}

export async function signArchive(
  folder: string,
  { gpg, suite, users, args = [] }: { gpg: Gpg; suite: string; users: string[]; args?: string[] },
): Promise<void> {
  const base = join(folder, 'dists', suite)
  const by = users.flatMap(user => ['--local-user', `${user}@example.org`])
  await gpg.run(...args, ...by, '--output', join(base, 'InRelease'), '--clearsign', join(base, 'Release'))
  await gpg.run(
    ...args,
    ...by,
    '--armor',
    '--output',
    join(base, 'Release.gpg'),
    '--detach-sign',
    join(base, 'Release'),
  )
}

/** Puts every index under its by-hash name too. */
export async function addByHash(folder: string, suite: string): Promise<void> {
  const index = join(folder, 'dists', suite, 'main/binary-amd64')
  const target = join(index, 'by-hash/SHA256')
  await mkdir(target, { recursive: true })
  for (const name of await readdir(index)) {
    if (!name.startsWith('Packages')) continue
    const sum = await must('sha256sum', [join(index, name)])
    await copyFile(join(index, name), join(target, sum.slice(0, 64)))
  }
}

export async function readText(...path: string[]): Promise<string> {
  return readFile(join(...path), 'utf8')
}
