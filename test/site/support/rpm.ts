import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { must, type Output, run } from '../../kinds/deb/support/programs.ts'

/** Real packages and a real dnf. */

const programs = ['rpmbuild', 'rpmsign', 'createrepo_c', 'dnf', 'gpg', 'rpmkeys']
export const lackingForRpm = programs.filter(
  name => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0,
)

export interface TestRpm {
  name: string
  version?: string
  requires?: string[]
  /** tag lines of the spec: `Epoch: 1` */
  tags?: string[]
  /** what the file of the package contains (default: its name): makes another package of the same name and version */
  content?: string
}

/** Builds packages, signed by the user's key, into `folder/Packages`; returns the texts of createrepo_c's lists. */
export async function makeRpms(
  folder: string,
  options: {
    gpgHome: string
    /** name before `@example.org`, or a key as gpg takes it: `0123ABCD!`; none: no signature */
    user?: string
    packages: TestRpm[]
  },
): Promise<{ primary: string; filelists: string }> {
  const { gpgHome, user, packages } = options
  await mkdir(join(folder, 'Packages'), { recursive: true })
  for (const { name, version = '1.0', requires = [], tags = [], content = name } of packages) {
    const spec = join(folder, `${name}.spec`)
    const lines = [
      `Name: ${name}`,
      `Version: ${version}`,
      'Release: 1.el9',
      'Summary: test',
      'License: MIT',
      'BuildArch: noarch',
      ...requires.map(text => `Requires: ${text}`),
      ...tags,
      '%description\ntest',
      '%install',
      `mkdir -p %{buildroot}/opt/${name}`,
      `echo ${content} > %{buildroot}/opt/${name}/file`,
      '%files',
      `/opt/${name}/file`,
    ]
    await writeFile(spec, `${lines.join('\n')}\n`)
    await must('rpmbuild', [
      '-bb',
      '--define',
      `_topdir ${folder}/build`,
      '--define',
      `_rpmdir ${folder}/Packages`,
      '--define',
      '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
      spec,
    ])
  }
  const files = (await readdir(join(folder, 'Packages'))).filter(name => name.endsWith('.rpm'))
  if (user !== undefined)
    await signRpms(
      files.map(name => join(folder, 'Packages', name)),
      { gpgHome, user },
    )
  await must('createrepo_c', ['--no-database', '--simple-md-filenames', '--compress-type', 'gz', folder])
  const list = async (kind: string) => {
    const name = (await readdir(join(folder, 'repodata'))).find(file => file.endsWith(`${kind}.xml.gz`))!
    return gunzipSync(await readFile(join(folder, 'repodata', name))).toString('utf8')
  }
  return { primary: await list('primary'), filelists: await list('filelists') }
}

/** `at`: the time of the signature as gpg takes it, if not now. */
export async function signRpms(
  files: readonly string[],
  { gpgHome, user, digest = 'sha256', at }: { gpgHome: string; user: string; digest?: string; at?: string },
): Promise<void> {
  const time = at === undefined ? '' : `--faked-system-time ${at} `
  await must(
    'rpmsign',
    [
      '--resign',
      '--define',
      `_gpg_name ${/[@!]/.test(user) ? user : `${user}@example.org`}`,
      '--define',
      `__gpg_sign_cmd %{__gpg} gpg --batch --no-armor ${time}--pinentry-mode loopback --passphrase "" -u "%{_gpg_name}" -sbo %{__signature_filename} --digest-algo ${digest} %{__plaintext_filename}`,
      '--define',
      '__gpg /usr/bin/gpg',
      ...files,
    ],
    { env: { GNUPGHOME: gpgHome } },
  )
}

/** An unmodified dnf with an empty root of its own; `repos` is the text of its .repo files. */
export async function dnfSandbox(
  folder: string,
  repos: string,
  settings: readonly string[] = [],
): Promise<{ root: string; dnf(...args: string[]): Promise<Output> }> {
  const root = join(folder, 'root')
  for (const name of ['root/var/lib/rpm', 'repos', 'cache', 'log', 'vars'])
    await mkdir(join(folder, name), { recursive: true })
  await writeFile(join(folder, 'repos/site.repo'), repos)
  await writeFile(
    join(folder, 'dnf.conf'),
    [
      '[main]',
      'gpgcheck=1',
      'repo_gpgcheck=1',
      'plugins=0',
      'module_platform_id=platform:el9',
      `reposdir=${folder}/repos`,
      `cachedir=${folder}/cache`,
      `logdir=${folder}/log`,
      `varsdir=${folder}/vars`,
      ...settings,
      '',
    ].join('\n'),
  )
  return {
    root,
    dnf: (...args) =>
      run('dnf', ['-c', join(folder, 'dnf.conf'), `--installroot=${root}`, '--releasever=9', '-y', ...args], {
        cwd: folder,
      }),
  }
}
