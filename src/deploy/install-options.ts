import { defined } from '../core/defined.ts'
import type { PlanFile } from '../install/plan-file.ts'
import type { StepSelection } from '../install/select.ts'
import type { SiteOptions } from './site-options.ts'

/** What `plan`, `apply` and `upgrade` are to do. */
export interface InstallOptions extends SiteOptions {
  /** ids of steps; `app` is every application */
  only?: string[] | undefined
  from?: string | undefined
  skip?: string[] | undefined
  /** of the machines, as ansible takes it */
  limit?: string | undefined
  /** minutes that a program may print nothing; 0: any number */
  silence?: number
  /** the site is backed up first, and components come in the order of the bundle's rules */
  upgrade?: boolean
  /** copies the bundle into the state folder first, so that the medium can be removed */
  copyBundle?: boolean
  /** takes a bundle that is older than the installed one */
  allowOlder?: boolean
}

/** The part of an install that was requested: what a saved plan records. */
export function requestedPart({ only, from, skip, limit }: InstallOptions): PlanFile['asked'] {
  return defined({ only, from, skip, limit })
}

/** Which steps that is. An upgrade backs up first, whatever part of it is requested. */
export function selectionOf({ only, from, skip, upgrade }: InstallOptions): StepSelection {
  return defined({ only, from, skip, keep: upgrade ? 'backup' : undefined })
}
