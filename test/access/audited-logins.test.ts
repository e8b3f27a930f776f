import { expect, it } from 'vitest'
import type { AuditEvent } from '../../src/access/audit.ts'
import { auditedLogins } from '../../src/access/audited-logins.ts'

it('failed logins of one network displace nothing else from the audit log', () => {
  const events: AuditEvent[] = []
  let seconds = 0
  const noted = auditedLogins(event => events.push(event), { seconds: () => seconds, boot: 'boot' })
  const fail = (i: number) =>
    noted(
      { name: `n${i}`.padEnd(500, '\u200b'), password: '', address: `2001:db8::${i.toString(16)}` },
      { wrong: true },
    )
  for (let i = 0; i < 5_000; i++) fail(i)
  expect(events).toHaveLength(10)
  expect(Math.max(...events.map(({ user }) => user.length))).toBe(64)
  seconds = 61
  fail(1)
  expect(events.at(-1)).toMatchObject({ result: 'failed', count: 4_991 })
  noted({ name: 'other', password: '', address: '10.0.0.1' }, { wrong: true })
  expect(events.at(-1)).toEqual({ what: 'login', result: 'failed', user: 'other', address: '10.0.0.1' })
})
