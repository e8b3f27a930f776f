import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../run.ts'

/** An empty root that an unmodified dnf installs into. It checks the signatures of lists and packages: dnf.conf(5). */
export interface ElRoot {
  root: string
  /** Writes a .repo file; its `file:///etc/pki/…` are read below the root, as on a machine of its own. */
  putRepository(name: string, text: string): Promise<void>
  /** runs dnf and gives what it printed */
  dnf(args: readonly string[]): Promise<string>
  /** `name-epoch:version-release.arch` of what is installed, sorted */
  installed(): Promise<string[]>
}

export const elRootPrograms = ['dnf', 'rpm'] as const

/** `inside` puts a command line into a network; `platform` is what modules ask for. */
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
    // of this machine, not of the site's
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
