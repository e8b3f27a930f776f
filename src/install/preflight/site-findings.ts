import type { MachineFacts } from './facts.ts'
import type { MachineFinding } from './finding.ts'

/** What only a comparison of the machines shows: copies, which have the identity or the name of another one. */
export function siteFindings(machines: readonly { name: string; facts: MachineFacts }[]): MachineFinding[] {
  return [
    ...duplicates(machines, {
      key: 'machineId',
      what: () => 'has the same /etc/machine-id as',
      next: 'they are copies, or one machine under two addresses; for copies: `rm /etc/machine-id && systemd-machine-id-setup`, then reboot',
    }),
    ...duplicates(machines, {
      key: 'hostname',
      what: value => `has the same host name (${value}) as`,
      next: 'give each machine its own: `hostnamectl set-hostname NAME`',
    }),
  ]
}

function duplicates(
  machines: readonly { name: string; facts: MachineFacts }[],
  { key, what, next }: { key: 'machineId' | 'hostname'; what: (value: string) => string; next: string },
): MachineFinding[] {
  return [...Map.groupBy(machines, ({ facts }) => facts[key] ?? '')].flatMap(([value, same]) => {
    if (value === '' || same.length < 2) return []
    return same.map(({ name }): MachineFinding => {
      const others = same.filter(one => one.name !== name).map(one => one.name)
      return { machine: name, level: 'error', what: `${what(value)} ${others.slice(0, 5).join(', ')}`, next }
    })
  })
}
