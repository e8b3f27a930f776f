import type { Setup } from '../../deploy/set-up.ts'
import type { PlannedStep } from '../../install/plan.ts'
import { nodeRoles } from '../../inventory/schema.ts'

/** What apply would do, for somebody who stands before the machine: two screens for a whole platform. */
export function renderPlan(steps: readonly PlannedStep[], setup: Setup): string {
  const short = (line: string) => line.replaceAll(setup.siteFolder, 'SITE')
  const width = Math.max(0, ...steps.map(({ id }) => (isApplication(id) ? 0 : id.length)))
  const lines = [`SITE = ${setup.siteFolder}${machines(setup)}`]
  const applications = steps.filter(({ id }) => isApplication(id))
  let number = 0
  for (const step of steps) {
    if (isApplication(step.id)) {
      if (step === applications[0])
        lines.push(...applicationLines(applications, { first: number + 1, short, width }))
      number++
      continue
    }
    lines.push(headLine(step, ++number, width))
    if (step.state === 'pending') lines.push(...step.does.map(line => `     ${short(line)}`))
  }
  const pending = steps.filter(({ state }) => state === 'pending').length
  if (setup.site === undefined)
    lines.push(
      'the servers alone: there is no site.yaml. `offline-deploy init` makes one, for the machines and applications',
    )
  lines.push(pending === 0 ? 'nothing is left to do' : `${pending} of ${steps.length} steps will run`)
  return lines.join('\n')
}

function headLine(step: PlannedStep, number: number, width: number): string {
  const { id, title, state, reason } = step
  const why = state === 'done' || reason === 'never run' ? '' : ` (${reason})`
  return `${String(number).padStart(2)} ${state === 'done' ? 'done   ' : 'pending'} ${id.padEnd(width)}  ${title}${why}`
}

/** One block for all applications: their commands differ in nothing but the name. */
function applicationLines(
  steps: readonly PlannedStep[],
  { first, short, width }: { first: number; short: (line: string) => string; width: number },
): string[] {
  const pending = steps.filter(({ state }) => state === 'pending')
  const name = ({ id }: PlannedStep) => id.slice('app-'.length)
  const tell = (step: PlannedStep) =>
    `${name(step)}${step.reason === 'never run' || step.state === 'done' ? '' : ` (${step.reason})`}`
  const done = steps.filter(({ state }) => state === 'done').map(name)
  return [
    `${String(first).padStart(2)} ${pending.length === 0 ? 'done   ' : 'pending'} ${'app-…'.padEnd(width)}  ${steps.length} applications, each by helmfile, which waits until its pods are ready`,
    ...(pending.length === 0 ? [] : [`     ${pending.map(tell).join(' → ')}`]),
    ...(done.length === 0 || pending.length === 0 ? [] : [`     done before: ${done.join(', ')}`]),
    ...(pending[0] === undefined
      ? []
      : pending[0].does.map(line => `     ${short(line.replace(`app=${name(pending[0]!)}`, 'app=NAME'))}`)),
  ]
}

function machines({ site }: Setup): string {
  if (site === undefined) return ''
  const roles = nodeRoles.flatMap(role => {
    const count = site.nodes.filter(node => node.roles.includes(role)).length
    return count === 0 ? [] : [`${count} ${role}`]
  })
  return `   environment ${site.environment}, ${site.nodes.length} machines (${roles.join(', ')})`
}

function isApplication(id: string): boolean {
  return id.startsWith('app-')
}
