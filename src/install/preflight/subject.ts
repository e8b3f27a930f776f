import type { SiteNode } from '../../inventory/schema.ts'
import type { MachineFacts } from './facts.ts'
import type { MachineFinding } from './finding.ts'

/** What the bundle brings, and what is to be done with it. */
export interface Expected {
  /** whether Kubernetes is to be installed; false where the site has a cluster already */
  kubernetes: boolean
  gpuDriver: boolean
  /** branch of the driver that the playbook installs: `535`; undefined: not known */
  driverBranch: string | undefined
  /** package repositories: debian-12, el9; empty: packages are not brought */
  repositories: readonly string[]
  /** amd64, arm64; undefined: not known */
  architectures: readonly string[] | undefined
  /** bytes of all images, compressed */
  imageBytes: number
  /** bytes of the files that machines fetch */
  fileBytes: number
  /** repository → bytes of its packages */
  packageBytes: ReadonlyMap<string, number>
  /** where machines reach the site's servers: 10.0.0.1 */
  siteHost: string
  /** of the servers' certificate, in seconds since 1970; undefined: plain HTTP, or none was made yet */
  certificate?: { from: number; until: number } | undefined
  /** how many machines run pods */
  podMachines: number
}

/** A machine as the rules examine it. */
export interface Subject {
  node: SiteNode
  facts: MachineFacts
  expected: Expected
  /** seconds that its clock differs from this host's */
  skew: number
}

/** Returns what is wrong with one matter of a machine; nothing where that is good or not known. */
export type Rule = (subject: Subject) => Fault[]

/** A finding before it is known of which machine. `what` follows its name and a colon. */
export type Fault = Omit<MachineFinding, 'machine'>

export const error = (what: string, next: string): Fault => ({ level: 'error', what, next })
export const warning = (what: string, next: string): Fault => ({ level: 'warning', what, next })

export function isControlPlane({ node }: Pick<Subject, 'node'>): boolean {
  return node.roles.includes('control-plane')
}

export function runsPods({ node }: Pick<Subject, 'node'>): boolean {
  return node.roles.some(role => role === 'control-plane' || role === 'worker')
}

export const MiB = 1 << 20
export const GiB = 1 << 30

/** `512 MiB`, `30.0 GiB` */
export function sizeText(bytes: number): string {
  return bytes < GiB ? `${Math.round(bytes / MiB)} MiB` : `${(bytes / GiB).toFixed(1)} GiB`
}
