import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../run.ts'
import type { ElPackage, ElRepository } from './el-packages.ts'

/** Programs that `makeElRepositories` needs. */
export const elPrograms = ['rpmbuild', 'rpmsign', 'createrepo_c', 'modifyrepo_c', 'gpg', 'gpgconf'] as const

/**
 * Makes signed packages in signed repositories (`folder/ID`), with the publisher's key in `folder/publisher.asc`, by the tools that
 * distributions use: rpmbuild, rpmsign, createrepo_c, modifyrepo_c, gpg.
 */
export async function makeElRepositories(
  folder: string,
  repositories: readonly ElRepository[],
  options: { beforeSigning?: (folder: string) => Promise<void> } = {},
): Promise<{ key: string }> {
  const gpgHome = join(folder, 'gnupg')
  await mkdir(gpgHome, { recursive: true, mode: 0o700 })
  const env = { ...process.env, GNUPGHOME: gpgHome }
  const gpg = (args: string[]) =>
    run(['gpg', '--batch', '--yes', '--pinentry-mode', 'loopback', '--passphrase', '', ...args], { env })
  try {
    await gpg(['--quick-generate-key', publisher, 'rsa3072', 'sign', 'never'])
    const key = join(folder, 'publisher.asc')
    await gpg(['--armor', '--output', key, '--export', publisher])
    for (const repository of repositories) {
      const place = join(folder, repository.id)
      await buildPackages(place, repository)
      const rpms = (await readdir(join(place, 'Packages'))).map(name => join(place, 'Packages', name))
      await run(['rpmsign', '--addsign', ...defines(signing), ...rpms], { env })
      await run(['createrepo_c', '--quiet', place])
      if (repository.modules !== undefined) {
        const modules = join(folder, `${repository.id}-modules.yaml`)
        await writeFile(modules, `${repository.modules}\n`)
        await run(['modifyrepo_c', '--mdtype=modules', modules, join(place, 'repodata')])
      }
      await options.beforeSigning?.(place)
      const repomd = join(place, 'repodata', 'repomd.xml')
      await gpg(['--armor', '--digest-algo', 'SHA256', '--output', `${repomd}.asc`, '--detach-sign', repomd])
    }
    return { key }
  } finally {
    await run(['gpgconf', '--homedir', gpgHome, '--kill', 'all'])
  }
}

const publisher = 'publisher@example.org'

const signing = {
  _gpg_name: publisher,
  __gpg: '/usr/bin/gpg',
  __gpg_sign_cmd: `%{__gpg} gpg --batch --no-armor --pinentry-mode loopback --passphrase "" -u "%{_gpg_name}" -sbo %{__signature_filename} --digest-algo sha256 %{__plaintext_filename}`,
}

function defines(macros: Record<string, string>): string[] {
  return Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`])
}

async function buildPackages(place: string, { packages }: ElRepository): Promise<void> {
  await mkdir(join(place, 'Packages'), { recursive: true })
  for (const batch of withDistinctNames(packages)) await buildBatch(place, batch)
}

/** One spec builds many packages, but not two versions of one name. */
function withDistinctNames(packages: readonly ElPackage[]): ElPackage[][] {
  const batches: ElPackage[][] = []
  for (const rpm of packages) {
    const free = batches.find(batch => batch.every(({ name }) => name !== rpm.name))
    if (free) free.push(rpm)
    else batches.push([rpm])
  }
  return batches
}

async function buildBatch(place: string, packages: readonly ElPackage[]): Promise<void> {
  const build = join(place, '..', 'build')
  await mkdir(build, { recursive: true })
  const spec = join(build, 'el.spec')
  await writeFile(spec, specOf(packages))
  const rpms = join(build, 'RPMS')
  await run([
    'rpmbuild',
    '-bb',
    '--quiet',
    '--target',
    'x86_64-redhat-linux',
    ...defines({
      _topdir: build,
      _rpmdir: rpms,
      _build_name_fmt: '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
      debug_package: '%{nil}',
      __os_install_post: '%{nil}',
      _unpackaged_files_terminate_build: '0',
      _source_payload: 'w2.gzdio',
      _binary_payload: 'w2.gzdio',
    }),
    spec,
  ])
  for (const name of await readdir(rpms)) await rename(join(rpms, name), join(place, 'Packages', name))
}

function specOf(packages: readonly ElPackage[]): string {
  const filesOf = (rpm: ElPackage) => [`/usr/share/doc/${idOf(rpm)}/README`, ...(rpm.files ?? [])]
  return [
    'Name: el-source',
    'Version: 1',
    'Release: 1',
    'Summary: source of many',
    'License: MIT',
    '%description\nsource of many',
    ...packages.flatMap(rpm => {
      const tags = (tag: string, values: string[] = []) => values.map(value => `${tag}: ${value}`)
      return [
        `%package -n ${rpm.name}`,
        `Summary: ${rpm.name}`,
        `Version: ${rpm.version}`,
        `Release: ${rpm.release ?? '1.el9'}`,
        `Epoch: ${rpm.epoch ?? 0}`,
        ...(rpm.noarch ? ['BuildArch: noarch'] : []),
        'AutoReqProv: no',
        ...tags('Requires', rpm.requires),
        ...tags('Provides', rpm.provides),
        ...tags('Recommends', rpm.recommends),
        ...tags('Conflicts', rpm.conflicts),
        `%description -n ${rpm.name}\n${rpm.name}`,
        `%files -n ${rpm.name}`,
        ...filesOf(rpm),
      ]
    }),
    '%install',
    ...packages.flatMap(rpm =>
      filesOf(rpm).map(
        path => `mkdir -p "%{buildroot}$(dirname ${path})"; echo ${idOf(rpm)} > %{buildroot}${path}`,
      ),
    ),
    '',
  ].join('\n')
}

function idOf({ name, version }: ElPackage): string {
  return `${name}-${version}`
}
