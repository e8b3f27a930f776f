import { describe, expect, it } from 'vitest'
import { loginLimits } from '../../src/access/login-limits.ts'
import { type LoginAnswer, logins } from '../../src/access/logins.ts'
import type { User } from '../../src/access/users-file.ts'

/** Checks logins with a comparison that counts its work instead of doing it; a hash is `cost` and the password. */
function checking(names: readonly string[] = ['ci']) {
  const users = new Map<string, User>()
  const set = (name: string, password: string) =>
    users.set(name, { name, role: 'push', hash: `$2y$10$${password}` })
  for (const name of names) set(name, 'right')
  const seen: { password: string; hash: string }[] = []
  const audited: LoginAnswer[] = []
  const clock = { seconds: 0 }
  const checked = logins({
    users: () => users,
    stampOf: ({ name, hash }) => `${name} ${hash}`,
    thread: {
      async matches(password, hash) {
        await new Promise(resolve => setImmediate(resolve))
        seen.push({ password, hash })
        return hash === `$2y$10$${password}`
      },
    },
    limits: loginLimits(() => clock.seconds),
    clockMs: () => clock.seconds * 1_000,
    tried: (_, answer) => audited.push(answer),
  })
  const login = (name: string, password: string, address = '10.0.0.1') =>
    checked.check({ name, password, address })
  return { users, set, seen, audited, clock, login }
}

describe('logins', () => {
  it('cost the same for an unknown user as for a wrong password, and answer the same', async () => {
    const { seen, login } = checking()
    expect(await login('ci', 'wrong')).toEqual({ wrong: true })
    expect(await login('nobody', 'wrong')).toEqual({ wrong: true })
    expect(await login('nobody', 'p'.repeat(100))).toEqual({ wrong: true })
    expect(await login('ci', '')).toEqual({ wrong: true })
    // one comparison each, with a hash of the same cost
    expect(seen).toHaveLength(4)
    expect(seen.map(({ hash }) => hash.slice(0, 7))).toEqual(Array(4).fill('$2y$10$'))
  })

  it('cost the same where the site has no users at all', async () => {
    const { seen, login } = checking([])
    expect(await login('nobody', 'wrong')).toEqual({ wrong: true })
    expect(seen[0]?.hash).toHaveLength(60)
  })

  it('that were right are remembered, until the password changes or the user is removed', async () => {
    const { users, set, seen, login, clock } = checking()
    expect(await login('ci', 'right')).toMatchObject({ user: { name: 'ci', role: 'push' } })
    for (let i = 0; i < 50; i++) expect(await login('ci', 'right')).toMatchObject({ user: {} })
    expect(seen).toHaveLength(1)
    set('ci', 'other')
    expect(await login('ci', 'right')).toEqual({ wrong: true })
    set('ci', 'right')
    users.delete('ci')
    expect(await login('ci', 'right')).toEqual({ wrong: true })
    set('ci', 'right')
    clock.seconds += 3_600
    const before = seen.length
    await login('ci', 'right')
    expect(seen).toHaveLength(before + 1)
  })

  it('of one client at once are one comparison; 64 users at once all get in', async () => {
    const names = Array.from({ length: 64 }, (_, i) => `user${i}`)
    const { seen, login } = checking(names)
    const same = await Promise.all(Array.from({ length: 64 }, () => login('user0', 'right')))
    expect(same.every(answer => 'user' in answer)).toBe(true)
    expect(seen).toHaveLength(1)
    const all = await Promise.all(names.map(name => login(name, 'right')))
    expect(all.every(answer => 'user' in answer)).toBe(true)
  })

  it('of a user who is removed while the password is compared fail', async () => {
    const { users, login } = checking()
    const answer = login('ci', 'right')
    users.delete('ci')
    expect(await answer).toEqual({ wrong: true })
  })

  it('that are wrong 10,000 times cost few comparisons, and keep out nobody who has logged in before', async () => {
    const { seen, audited, login, clock } = checking(['ci', 'late'])
    await login('ci', 'right')
    for (let i = 0; i < 10_000; i++) await login(`name${i}`, `wrong${i}`)
    expect(seen.length).toBeLessThan(150)
    // another user behind the same address, from whom nothing is known, waits; not for long
    expect(await login('late', 'right')).toEqual({ wait: expect.any(Number) })
    expect(await login('ci', 'right')).toMatchObject({ user: {} })
    clock.seconds += 700
    for (let i = 0; i < 200; i++) await login(`more${i}`, 'wrong')
    // not remembered any more, but known at this address
    expect(await login('ci', 'right')).toMatchObject({ user: {} })
    clock.seconds += 2
    expect(await login('late', 'right')).toMatchObject({ user: {} })
    expect(audited.length).toBeGreaterThan(100)
  })

  it('of one user from many addresses are limited, too, and not at an address that the user has used', async () => {
    const { seen, login } = checking()
    await login('ci', 'right', '10.0.0.1')
    for (let i = 0; i < 500; i++)
      for (const again of [1, 2]) await login('ci', `wrong${i}-${again}`, `10.1.${i >> 8}.${i & 255}`)
    // one from each address, and 20 more
    expect(seen.length).toBeLessThan(500 + 30)
    expect(await login('ci', 'right', '10.2.0.1')).toMatchObject({ user: {} })
    expect(await login('ci', 'wrong', '10.0.0.1')).toEqual({ wrong: true })
  })

  it('that fail for a user elsewhere keep nobody out who logs in for the first time', async () => {
    const { users, login } = checking(['ci', 'other'])
    for (let i = 0; i < 50; i++) await login('ci', `wrong${i}`, '10.1.0.1')
    // another password, which is not remembered from an earlier login
    users.set('ci', { name: 'ci', role: 'push', hash: '$2y$10$changed' })
    expect(await login('ci', 'changed', '10.2.0.1')).toMatchObject({ user: { name: 'ci' } })
  })

  it('that are refused leave no entries, which would evict those of others', async () => {
    const { clock, seen, login } = checking()
    for (let i = 0; i < 22; i++) await login('ci', `wrong${i}`, '10.3.0.1')
    const before = seen.length
    for (let i = 0; i < 10_100; i++) await login(`name${i}`, 'wrong', '10.1.0.1')
    expect(seen.length - before).toBeLessThanOrEqual(100)
    clock.seconds += 1
    const tried = seen.length
    await login('ci', 'wrong', '10.3.0.1')
    expect(seen).toHaveLength(tried)
  })

  it('count all addresses of one IPv6 network as one', async () => {
    const { seen, login } = checking()
    for (let i = 0; i < 500; i++) await login(`n${i}`, 'wrong', `2001:db8::${i.toString(16)}`)
    expect(seen.length).toBeLessThan(150)
    expect(await login('n', 'wrong', '2001:db8:1::1')).toEqual({ wrong: true })
  })

  it('that wait for a comparison are bounded', async () => {
    const { login } = checking()
    const all = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => login(`n${i}`, 'wrong', `10.3.${i >> 8}.${i & 255}`)),
    )
    expect(all.filter(answer => 'wait' in answer).length).toBeGreaterThan(700)
  })
})
