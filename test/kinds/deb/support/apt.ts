import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Output, run } from './programs.ts'

/** An unmodified apt in folders of its own, on an empty system; the host's packages and sources are not touched. */
export interface AptSandbox {
  apt(...args: string[]): Promise<Output>
  /** `name_version_architecture` of everything that would be installed */
  wouldInstall(packages: string[], options?: { recommends?: boolean }): Promise<string[]>
}

export interface SandboxOptions {
  /** deb822, as in sources.list.d */
  sources: string
  architecture?: string
  /** dpkg --add-architecture */
  foreign?: string[]
  /** /var/lib/dpkg/status */
  status?: string
  /** apt_preferences(5) */
  preferences?: string
  /** further settings of apt.conf(5) */
  settings?: Record<string, string>
  /** of its processes */
  env?: Record<string, string>
}

export async function aptSandbox(folder: string, options: SandboxOptions): Promise<AptSandbox> {
  const { sources, architecture = 'amd64', foreign = [], status = '', preferences } = options
  const parts = ['apt.conf.d', 'preferences.d', 'sources.list.d', 'trusted.gpg.d'].map(name =>
    join('etc/apt', name),
  )
  for (const part of [...parts, 'lists/partial', 'cache/archives/partial', 'log'])
    await mkdir(join(folder, part), { recursive: true })
  await writeFile(join(folder, 'status'), status)
  if (preferences !== undefined) await writeFile(join(folder, 'etc/apt/preferences'), preferences)
  await writeFile(join(folder, 'etc/apt/sources.list.d/test.sources'), sources)
  const config = join(folder, 'apt.conf')
  const lines = {
    Dir: folder,
    'Dir::Etc': 'etc/apt',
    'Dir::State': folder,
    'Dir::State::lists': 'lists',
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': 'cache',
    'Dir::Log': 'log',
    'APT::Architecture': architecture,
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '0',
    'Acquire::ForceHash': 'SHA256',
    'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled': 'false',
    ...options.settings,
  }
  await writeFile(
    config,
    `${Object.entries(lines)
      .map(([key, value]) => `${key} "${value}";`)
      .join(
        '\n',
      )}\nAPT::Architectures { ${[architecture, ...foreign].map(one => `"${one}";`).join(' ')} };\n`,
  )
  const apt = (...args: string[]) =>
    run('apt-get', args, { cwd: folder, env: { APT_CONFIG: config, ...options.env } })
  return {
    apt,
    async wouldInstall(packages, { recommends = false } = {}) {
      const choice = recommends ? '--install-recommends' : '--no-install-recommends'
      const output = await apt('install', '-y', choice, '--print-uris', ...packages)
      if (output.status !== 0) throw new Error(output.stdout + output.stderr)
      return [...output.stdout.matchAll(/^'[^']*' (\S+)\.deb \d+/gm)]
        .map(match => decodeURIComponent(match[1]!))
        .sort()
    },
  }
}
