import type { Step } from '../../install/step.ts'
import { takingFrom } from '../own-servers.ts'
import { applications } from './applications.ts'
import { controlHost } from './control-host.ts'
import { inventory } from './inventory.ts'
import { kubernetes } from './kubernetes.ts'
import type { MachineParts } from './parts.ts'
import { gpuDriver, nfs, nodes } from './playbooks.ts'
import { secrets } from './secrets.ts'
import { verification } from './verification.ts'

/** The steps that follow those of the servers. Which of them a site has is decided by install.yaml and site.yaml. */
export async function machineSteps(parts: MachineParts): Promise<Step[]> {
  const guarded = (steps: readonly (Step | undefined)[]) =>
    steps.filter(step => step !== undefined).map(step => takingFrom(parts.servers, step))
  const machines = [
    secrets(parts),
    inventory(parts),
    await controlHost(parts),
    // machines install packages and pull images from the servers
    ...guarded([nodes(parts), await kubernetes(parts), gpuDriver(parts), nfs(parts)]),
  ].filter(step => step !== undefined)
  const before = machines.map(({ id }) => id)
  const releases = guarded(await applications(parts, before))
  const inCluster = [...before.filter(id => id === 'kubernetes'), ...releases.map(({ id }) => id)]
  return [...machines, ...releases, ...(inCluster.length === 0 ? [] : [verification(parts, inCluster)])]
}
