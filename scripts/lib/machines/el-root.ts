import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../run.ts'

/** An empty root into which an unmodified dnf installs. It verifies the signatures of metadata and packages: dnf.conf(5). */
export interface ElRoot {
  root: string
  /** Writes a .repo file; its `file:///etc/pki/…` refer to the root, as on a real machine. */
  putRepository(name: string, text: string): Promise<void>
  /** runs dnf and returns its output */
  dnf(args: readonly string[]): Promise<string>
  /** `name-epoch:version-release.arch` of the installed packages, sorted */
  installed(): Promise<string[]>
}

export const elRootPrograms = ['dnf', 'rpm'] as const

/** `inside` wraps a command line so that it runs in a network; `platform` is the platform that modules require. */
export async function openElRoot(
  folder: string,
  options: { inside: (command: readonly string[]) => string[]; platform: string },
): Promise<ElRoot> {
  const root = join(folder, 'root')
  for (const name of ['root/var/lib/rpm', 'repos', 'cache', 'log', 'vars'])
    await mkdir(join(folder, name), { recursive: true })
  const config = join(folder, 'dnf.conf')
  const settings = {
    gpgcheck: 1,
    repo_gpgcheck: 1,
    // the host's repositories, not the site's
    plugins: 0,
    install_weak_deps: 0,
    module_platform_id: options.platform,
    reposdir: join(folder, 'repos'),
    cachedir: join(folder, 'cache'),
    logdir: join(folder, 'log'),
    varsdir: join(folder, 'vars'),
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  await writeFile(config, `[main]\n${lines.join('')}`)
  const place = [`--installroot=${root}`, '--releasever=9', '--forcearch=x86_64']
  return {
    root,
    putRepository: (name, text) =>
      writeFile(
        join(folder, 'repos', `${name}.repo`),
        text.replaceAll('file:///etc/pki/', `file://${root}/etc/pki/`),
      ),
    dnf: args => run(options.inside(['dnf', '-c', config, ...place, '-y', ...args]), { cwd: folder }),
    async installed() {
      const format = '%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\\n'
      const lines = (await run(['rpm', '--root', root, '-qa', '--qf', format])).trim().split('\n')
      return lines.filter(line => line !== '' && !line.startsWith('gpg-pubkey-')).sort()
    },
  }
}
