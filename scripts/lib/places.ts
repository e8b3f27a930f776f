import { homedir } from 'node:os'
import { join } from 'node:path'

/** The repository's root. */
export const home = join(import.meta.dirname, '..', '..')

/** Keeps what is slow to make: root file systems, images, virtual environments. Delete it to get newer Debian packages. */
export const cacheFolder = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'airgap-demo')
