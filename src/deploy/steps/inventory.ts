import { join } from 'node:path'
import { digestOf } from '../../core/digest.ts'
import type { Step } from '../../install/step.ts'
import { inventoryFiles, inventoryStep } from '../../install/steps/inventory.ts'
import { inventoryRecord, type MachineParts } from './parts.ts'

export function inventory(parts: MachineParts): Step {
  const { install, state, hosts, httpServer, clients } = parts
  const { deployment, folder } = install
  return inventoryStep({
    files: async purpose => inventoryFiles(await clients(purpose), hosts),
    folder: state.paths.inventory,
    groupVars: deployment.kubespray && join(folder, deployment.kubespray.inventory, 'group_vars'),
    record: inventoryRecord(parts),
    inputs: async () => ({ hosts: digestOf(hosts), httpServer }),
  })
}
