import pLimit from 'p-limit'
import type { SiteNode } from '../../inventory/schema.ts'
import type { MachineFacts } from './facts.ts'
import type { MachineFinding } from './finding.ts'
import { type HostQuestions, hostFacts } from './host.ts'
import {
  clockSkew,
  type Expected,
  type HostFacts,
  hostFindings,
  machineFindings,
  reachFindings,
  siteFindings,
} from './rules.ts'
import { askMachine, type SshAccess } from './ssh.ts'

export interface PreflightOptions {
  nodes: readonly SiteNode[]
  access: SshAccess
  expected: Expected
  host: HostQuestions
  /** `machines`: of this host only what keeps it from asking them */
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

/** Looks at this host and at all machines at once, and gives everything that it finds; nothing is changed there. */
export async function preflight(options: PreflightOptions): Promise<PreflightReport> {
  const { nodes, access, expected, signal } = options
  const host = await hostFacts(options.host, signal)
  const findings = options.about === 'machines' ? reachFindings(host) : hostFindings(host)
  // what keeps this host from asking is told once, and not for every machine
  const canAsk = host.ssh && host.sshpass !== false
  const limit = pLimit(atOnce)
  const machines = await Promise.all(
    canAsk
      ? nodes.map(node =>
          limit(async () => {
            const asked = await askMachine(node, access, signal)
            if ('finding' in asked) return { node, facts: undefined, found: [asked.finding] }
            const { facts, flaws } = asked.answer
            const skew = clockSkew(facts.time, asked)
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
  const next = 'what it did not tell was not checked; look at what its login shell prints'
  return [
    {
      machine: node.name,
      level: 'warning',
      what: `its answer is odd: ${flaws.slice(0, 5).join(', ')}`,
      next,
    },
  ]
}
