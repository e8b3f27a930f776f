import { AirgapError } from '../../core/errors.ts'
import { findingLines, type MachineFinding } from '../preflight/finding.ts'
import type { Step } from '../step.ts'

export interface PreflightStepOptions {
  machines: readonly string[]
  look: (signal: AbortSignal) => Promise<readonly MachineFinding[]>
}

/** Looks at this host and the machines before anything is changed, and tells all that it finds at once. */
export function preflightStep({ machines, look }: PreflightStepOptions): Step {
  return {
    id: 'preflight',
    title: 'this host and the machines, before anything is changed',
    needs: [],
    inputs: { machines },
    // it is quick, and only worth something now
    always: true,
    async describe() {
      return [
        'look at this host: room, Python, ssh, ports of the servers',
        `ask ${machines.slice(0, 10).join(', ')}${machines.length > 10 ? ` and ${machines.length - 10} more` : ''} over SSH: system, memory, room, ports, clock, sudo, GPU; nothing is changed there`,
      ]
    },
    check: async () => 'pending',
    async apply({ progress, signal }) {
      const findings = await look(signal)
      for (const line of findingLines(findings.filter(({ level }) => level === 'warning')))
        progress.note(`preflight: warning: ${line}`)
      const errors = findingLines(findings.filter(({ level }) => level === 'error'))
      if (errors.length > 0) throw preflightError(errors)
    },
  }
}

function preflightError(lines: readonly string[]): AirgapError {
  return new AirgapError(
    'PREFLIGHT',
    ['the install cannot go on like this:', ...lines.map(line => `  ${line}`)].join('\n'),
    {
      next: 'correct it and run the same command again; nothing was changed. `offline-deploy preflight` asks again, --skip preflight goes on without asking',
    },
  )
}
