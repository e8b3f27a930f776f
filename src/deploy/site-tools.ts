import { join } from 'node:path'
import type { Ansible } from '../install/ansible.ts'
import type { Cluster } from '../install/kube.ts'
import type { StepProgram } from '../install/program.ts'
import { toolPaths } from '../install/steps/control-host.ts'
import type { SiteFile } from '../inventory/schema.ts'
import type { SiteState } from '../site/state.ts'
import { clusterOf } from './cluster.ts'
import type { Passwords } from './passwords.ts'

/** kubespray pulls images of gigabytes without printing a word. */
const defaultSilenceMs = 60 * 60_000

/** The programs of this host, as steps and commands run them. */
export interface SiteTools {
  paths: ReturnType<typeof toolPaths>
  ansible: Ansible
  cluster: Cluster
  program: (name: string) => Pick<StepProgram, 'log' | 'running' | 'silenceMs'>
}

/** `silenceMs`: how long a program may print nothing before it is ended (default: an hour). */
export function siteTools(
  site: SiteFile,
  options: {
    state: SiteState
    passwords: Passwords
    silenceMs?: number | undefined
    cluster?: Cluster | undefined
  },
): SiteTools {
  const { state, passwords, silenceMs = defaultSilenceMs, cluster } = options
  const { paths } = state
  const tools = toolPaths(paths.tools)
  const program = (name: string) => ({
    log: join(paths.logs, `${name}.log`),
    running: paths.running,
    silenceMs,
  })
  return {
    paths: tools,
    program,
    cluster: cluster ?? clusterOf(site, paths),
    ansible: {
      bin: join(tools.venv, 'bin'),
      inventory: join(paths.inventory, 'hosts.yaml'),
      knownHosts: paths.knownHosts,
      work: paths.ansible,
      passwords,
      program,
    },
  }
}
