import type { Command } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import type { PreflightOptions } from '../../deploy/preflight.ts'
import { findingLines } from '../../install/preflight/finding.ts'
import type { PreflightReport } from '../../install/preflight/index.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { deployContext } from './context.ts'
import { bundleOptions, configureOptions, limitOption, serverOptions } from './options.ts'

export function preflightCommand(program: Command, shell: Shell): void {
  addExamples(configureOptions(serverOptions(bundleOptions(program.command('preflight')))), [
    ['offline-deploy preflight'],
    ['offline-deploy preflight --limit gpu_node -o json', 'the GPU nodes only'],
  ])
    .description('Examine this host and every machine before an install; exit 7 if it cannot work')
    .addOption(limitOption())
    .action(async (options: PreflightOptions) => {
      const { preflightSite } = await import('../../deploy/preflight.ts')
      printReport(await preflightSite(options, deployContext(shell)), shell)
    })
}

/** The machines alone: where the servers of this host will listen does not matter. */
export async function checkMachines(options: PreflightOptions, shell: Shell): Promise<void> {
  const { preflightSite } = await import('../../deploy/preflight.ts')
  const context = deployContext(shell)
  const { machines, findings } = await preflightSite(
    { address: '127.0.0.1', ...options, about: 'machines' },
    context,
  )
  printReport({ machines, findings }, shell)
}

type Printed = Pick<PreflightReport, 'machines' | 'findings'>

/** Throws PREFLIGHT where there are errors. */
function printReport(report: Printed & Partial<PreflightReport>, shell: Shell): void {
  const errors = report.findings.filter(({ level }) => level === 'error')
  shell.print(report, () => reportText(report))
  if (errors.length === 0) return
  const machines = [...new Set(errors.map(({ machine }) => machine))]
  throw new AirgapError('PREFLIGHT', `${errors.length} findings prevent the install`, {
    item: machines.slice(0, 20).join(', '),
    next: 'correct them and run the same command again; nothing was changed',
  })
}

function reportText({ machines, findings }: Printed): string[] {
  const head = ['machine', 'address', 'system', 'kernel', 'cpus', 'memory', 'free in /', 'gpus']
  const rows = machines.map(({ name, address, facts }) => {
    if (facts === undefined) return [name, address, 'no answer']
    const { osName = '-', kernel = '-', cpus = '-', memory, disks, nvidia = '-' } = facts
    const free = disks.root?.free
    const sizes = [memory, free].map(bytes => (bytes === undefined ? '-' : humanBytes(bytes)))
    return [name, address, osName, kernel, String(cpus), ...sizes, String(nvidia)]
  })
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map(row => row[i]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  const linesOf = (level: 'error' | 'warning') =>
    findingLines(findings.filter(one => one.level === level)).map(text => `${level.padEnd(8)} ${text}`)
  const lines = [...linesOf('error'), ...linesOf('warning')]
  return [
    ...[head, ...rows].map(line),
    '',
    ...(lines.length === 0 ? ['found nothing that would prevent the install'] : lines),
  ]
}
