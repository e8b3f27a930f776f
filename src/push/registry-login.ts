import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configForHost, dockerConfigPath, loadDockerConfig } from '../remote/docker-config.ts'
import type { Oras } from '../remote/oras.ts'

/**
 * Runs `work` with the login for one repository, `host/path`. Where the config.json of the user has logins for paths of this host, oras
 * gets a file with the one that covers the repository. The file has no name any more when oras reads it: even if this process is killed, no
 * password is left behind.
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
  const file = await unnamedFile(JSON.stringify(own))
  try {
    return await work({ ...oras, registryConfig: `/proc/${process.pid}/fd/${file.fd}` })
  } finally {
    await file.close()
  }
}

/** A file with this content, readable for this user only, whose name is removed before it has any content. */
async function unnamedFile(text: string): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-login-'))
  let file: FileHandle
  try {
    file = await open(join(folder, 'config.json'), 'wx', 0o600)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await file.writeFile(text)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}
