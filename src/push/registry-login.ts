import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configForHost, dockerConfigPath, loadDockerConfig } from '../remote/docker-config.ts'
import type { Oras } from '../remote/oras.ts'

/**
 * Runs `work` with the login for one repository, `host/path`. Where the config.json of the user has logins for paths of this host, oras
 * gets a file with the one that covers the repository, readable for this user only and removed afterwards.
 */
export async function withLoginFor<T>(
  oras: Oras,
  repository: string,
  work: (oras: Oras) => Promise<T>,
): Promise<T> {
  const slash = repository.indexOf('/')
  const place = { host: repository.slice(0, slash), repository: repository.slice(slash + 1) }
  const config = await loadDockerConfig(oras.registryConfig ?? dockerConfigPath(process.env))
  const own = configForHost(config, place)
  if (own === undefined) return await work(oras)
  const folder = await mkdtemp(join(tmpdir(), 'airgap-login-'))
  try {
    const registryConfig = join(folder, 'config.json')
    await writeFile(registryConfig, JSON.stringify(own), { mode: 0o600 })
    return await work({ ...oras, registryConfig })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
