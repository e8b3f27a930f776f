import { existsSync } from 'node:fs'
import { chmod, chown, lchown, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import { runSystemd } from '../service/systemctl.ts'
import { serviceFolder } from '../service/units.ts'

/**
 * Moves what was pushed to the servers while they ran without systemd to the folder of their service, and gives it to their user. Where there
 * is something to move, it stops the units of the service; the caller starts them. Throws USAGE where there is pushed content in both places.
 */
export async function moveOverlay(
  { overlay, name }: { overlay: string; name: string },
  signal: AbortSignal,
): Promise<void> {
  if (!existsSync(overlay)) return
  const folder = serviceFolder(name)
  const target = join(folder, 'overlay')
  // before the service is stopped for nothing
  refuseBoth(overlay, target)
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async flag => Number(await runSystemd('id', [flag, name], signal))),
  )
  if (!uid || !gid)
    throw new AirgapError('STEP_FAILED', 'the user of the servers was not created', { item: name })
  // a connection to the socket would start the service, and systemd would give the folder back to its user
  await runSystemd('systemctl', ['stop', `${name}.service`, `${name}.socket`], signal)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // root must not move and chown where the servers' user could put a link in the way
  await chown(folder, 0, 0)
  try {
    await chmod(folder, 0o700)
    refuseBoth(overlay, target)
    // another file system, perhaps
    await runSystemd('mv', ['--no-target-directory', overlay, target], signal)
    for (const path of ['', ...(await readdir(target, { recursive: true }))])
      await lchown(join(target, path), uid, gid)
  } finally {
    await chown(folder, uid, gid)
  }
}

function refuseBoth(overlay: string, target: string): void {
  if (!existsSync(target)) return
  throw new AirgapError(
    'USAGE',
    'there is pushed content of the service, and of servers that ran without it',
    {
      item: `${overlay}, ${target}`,
      likely: 'the service was removed, and images were pushed to the servers afterwards',
      next: 'move one of the folders away, and push its images again once the service runs',
    },
  )
}
