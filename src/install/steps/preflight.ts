import { AirgapError } from '../../core/errors.ts'
import { findingLines, type MachineFinding } from '../preflight/finding.ts'
import type { Step } from '../step.ts'

export interface PreflightStepOptions {
  machines: readonly string[]
  look: (signal: AbortSignal) => Promise<readonly MachineFinding[]>
}

/** Checks this host and the nodes before anything is changed, and reports all findings at once. */
export function preflightStep({ machines, look }: PreflightStepOptions): Step {
  return {
    id: 'preflight',
    title: 'Check this host and the nodes',
    needs: [],
    inputs: { machines },
    // quick, and an earlier result says nothing about now
    always: true,
    async describe() {
      return [
        'check on this host: disk space, Python, ssh, ports of the servers',
        `check over SSH on ${machines.slice(0, 10).join(', ')}${machines.length > 10 ? ` and ${machines.length - 10} more` : ''}: system, memory, disk space, ports, clock, sudo, GPU; nothing is changed there`,
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
  return new AirgapError('PREFLIGHT', ['the install would fail:', ...lines.map(line => `  ${line}`)], {
    next: 'correct this and run the same command again; nothing was changed. `offline-deploy preflight` repeats the checks, --skip preflight leaves them out',
  })
}
