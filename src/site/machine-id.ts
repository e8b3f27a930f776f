import { readFile } from 'node:fs/promises'

/** Returns the id of this host; empty where it has none, as in a container. Confidential (machine-id(5)): only hashes of it are stored. */
export async function machineId(): Promise<string> {
  return (await readFile('/etc/machine-id', 'utf8').catch(() => '')).trim()
}
