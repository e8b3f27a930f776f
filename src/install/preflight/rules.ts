import { python, sudo } from './access-rules.ts'
import { disks, memory, processors } from './capacity-rules.ts'
import { ports, runtimes } from './cluster-rules.ts'
import type { MachineFinding } from './finding.ts'
import { gpuDevice, gpuDriver, nouveau, secureBoot } from './gpu-rules.ts'
import { proxies } from './proxy-rules.ts'
import type { Rule, Subject } from './subject.ts'
import { architecture, clock, defaultRoute, kernel, release, selinux, swap, systemd } from './system-rules.ts'

/** One for each matter; a machine is examined by all of them. */
const rules: readonly Rule[] = [
  release,
  architecture,
  systemd,
  kernel,
  processors,
  memory,
  disks,
  ports,
  clock,
  selinux,
  swap,
  runtimes,
  defaultRoute,
  proxies,
  python,
  sudo,
  gpuDevice,
  secureBoot,
  nouveau,
  gpuDriver,
]

/** Everything that is wrong with one machine, as far as its own answer shows it. */
export function machineFindings(subject: Subject): MachineFinding[] {
  return rules.flatMap(rule => rule(subject)).map(fault => ({ machine: subject.node.name, ...fault }))
}
