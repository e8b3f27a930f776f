/** Something that will make the install fail, or may. */
export interface MachineFinding {
  /** of site.yaml, or `this host` */
  machine: string
  /** an error stops the install; a warning may be as the site wants it */
  level: 'error' | 'warning'
  /** follows the name of the machine and a colon */
  what: string
  /** what to do about it */
  next: string
}

export const thisHost = 'this host'

/** Groups findings that are the same on several machines; errors come first. */
export function grouped(
  findings: readonly MachineFinding[],
): (Omit<MachineFinding, 'machine'> & { machines: string[] })[] {
  const groups = new Map<string, Omit<MachineFinding, 'machine'> & { machines: string[] }>()
  for (const { machine, level, what, next } of findings) {
    const key = JSON.stringify([level, what, next])
    const group = groups.get(key) ?? { level, what, next, machines: [] }
    if (!group.machines.includes(machine)) group.machines.push(machine)
    groups.set(key, group)
  }
  return [...groups.values()].sort((a, b) => Number(a.level === 'warning') - Number(b.level === 'warning'))
}

/** `machine: what → next`; of many machines, the first eight are named. */
export function findingLines(findings: readonly MachineFinding[]): string[] {
  return grouped(findings).map(({ machines, what, next }) => {
    const more = machines.length > 8 ? ` and ${machines.length - 8} more` : ''
    return `${machines.slice(0, 8).join(', ')}${more}: ${what} → ${next}`
  })
}
