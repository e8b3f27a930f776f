import pLimit from 'p-limit'
import type { SiteNode } from '../../inventory/schema.ts'
import type { MachineFacts } from './facts.ts'
import type { MachineFinding } from './finding.ts'
import { type HostQuestions, hostFacts } from './host.ts'
import { type HostFacts, hostFindings, reachFindings } from './host-findings.ts'
import { machineFindings } from './rules.ts'
import { siteFindings } from './site-findings.ts'
import { probeMachine, type SshAccess } from './ssh.ts'
import type { Expected } from './subject.ts'
import { clockSkew } from './system-rules.ts'

export interface PreflightOptions {
  nodes: readonly SiteNode[]
  access: SshAccess
  expected: Expected
  host: HostQuestions
  /** `machines`: of this host only what prevents it from reaching them */
  about?: 'all' | 'machines'
  signal: AbortSignal
}

export interface MachineReport {
  name: string
  address: string
  /** undefined: it did not answer */
  facts: MachineFacts | undefined
}

export interface PreflightReport {
  host: HostFacts
  machines: MachineReport[]
  findings: MachineFinding[]
}

const atOnce = 16

/** Examines this host and all machines, 16 at a time, and returns everything that is wrong. Changes nothing there. */
export async function preflight(options: PreflightOptions): Promise<PreflightReport> {
  const { nodes, access, expected, signal } = options
  const host = await hostFacts(options.host, signal)
  const findings = options.about === 'machines' ? reachFindings(host) : hostFindings(host)
  // what prevents this host from reaching machines is reported once, not for each of them
  const canReach = host.ssh && host.sshpass !== false
  const limit = pLimit(atOnce)
  const machines = await Promise.all(
    canReach
      ? nodes.map(node =>
          limit(async () => {
            const probed = await probeMachine(node, access, signal)
            if ('finding' in probed) return { node, facts: undefined, found: [probed.finding] }
            const { facts, flaws } = probed.answer
            const skew = clockSkew(facts.time, probed)
            const found = machineFindings({ node, facts, expected, skew })
            return { node, facts, found: [...found, ...flawed(node, flaws)] }
          }),
        )
      : nodes.map(node => ({ node, facts: undefined, found: [] })),
  )
  const known = machines.flatMap(({ node, facts }) =>
    facts === undefined ? [] : [{ name: node.name, facts }],
  )
  return {
    host,
    machines: machines.map(({ node: { name, address }, facts }) => ({ name, address, facts })),
    findings: [...findings, ...machines.flatMap(({ found }) => found), ...siteFindings(known)],
  }
}

function flawed(node: SiteNode, flaws: readonly string[]): MachineFinding[] {
  if (flaws.length === 0) return []
  const next = 'what is missing in it was not checked; see what the login shell of the user prints'
  return [
    {
      machine: node.name,
      level: 'warning',
      what: `its answer is malformed: ${flaws.slice(0, 5).join(', ')}`,
      next,
    },
  ]
}
