import type { Setup } from '../../deploy/set-up.ts'
import type { PlannedStep } from '../../install/plan.ts'
import { nodeRoles } from '../../inventory/schema.ts'

/** Renders what apply would do, short enough to read: two screens for a whole platform. */
export function renderPlan(steps: readonly PlannedStep[], setup: Setup): string[] {
  const short = (line: string) => line.replaceAll(setup.siteFolder, 'SITE')
  const width = Math.max(0, ...steps.map(({ id }) => (isApplication(id) ? 0 : id.length)))
  const lines = [`SITE = ${setup.siteFolder}${machinesText(setup)}`]
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
    lines.push('servers only: for machines and applications, write site.yaml with `offline-deploy init`')
  lines.push(pending === 0 ? 'nothing to do' : `${pending} of ${steps.length} steps will run`)
  return lines
}

function headLine({ id, title, state, reason }: PlannedStep, number: number, width: number): string {
  const why = state === 'done' || reason === 'never run' ? '' : ` (${reason})`
  return `${String(number).padStart(2)} ${state.padEnd(7)} ${id.padEnd(width)}  ${title}${why}`
}

/** Renders one block for all applications, whose commands differ only in the name. */
function applicationLines(
  steps: readonly PlannedStep[],
  { first, short, width }: { first: number; short: (line: string) => string; width: number },
): string[] {
  const nameOf = ({ id }: PlannedStep) => id.slice('app-'.length)
  const pending = steps.filter(({ state }) => state === 'pending')
  const done = steps.filter(({ state }) => state === 'done').map(nameOf)
  const [next] = pending
  const title = `Install ${steps.length} applications with helmfile, which waits until their pods are ready`
  const state = next === undefined ? 'done' : 'pending'
  const head = `${String(first).padStart(2)} ${state.padEnd(7)} ${'app-…'.padEnd(width)}  ${title}`
  if (next === undefined) return [head]
  const order = pending.map(step =>
    step.reason === 'never run' ? nameOf(step) : `${nameOf(step)} (${step.reason})`,
  )
  return [
    head,
    `     ${order.join(' → ')}`,
    ...(done.length === 0 ? [] : [`     already done: ${done.join(', ')}`]),
    ...next.does.map(line => `     ${short(line.replace(`app=${nameOf(next)}`, 'app=NAME'))}`),
  ]
}

function machinesText({ site }: Setup): string {
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
