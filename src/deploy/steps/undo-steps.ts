import type { UndoStep } from '../../install/step.ts'
import { undoInventory } from '../../install/steps/inventory.ts'
import { undoServe } from '../../install/steps/serve.ts'
import { undoConfigure } from '../../install/steps/undo-configure.ts'
import { httpServerOf, registryOf, type SiteAddress } from '../../site/address.ts'
import type { SiteState } from '../../site/state.ts'
import { settingsOf } from '../../values/set.ts'
import { inventoryRecord } from './parts.ts'

/** The steps that can be undone, in order, from the records of the site: the medium with the bundle may be gone by then. */
export function undoableSteps(state: SiteState, address: SiteAddress): UndoStep[] {
  const { serveLock, deploy, written, inventory } = state.paths
  const settings = settingsOf({}, { registry: registryOf(address), httpServer: httpServerOf(address) })
  return [
    undoServe(serveLock),
    undoConfigure({ folder: deploy, record: written, settings }),
    undoInventory({ folder: inventory, record: inventoryRecord({ state }) }),
  ]
}
