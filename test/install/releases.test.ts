import { describe, expect, it } from 'vitest'
import { revisionBefore } from '../../src/install/releases.ts'

/** newest first, as `revision: status` */
const history = (...statuses: string[]) =>
  statuses.map((text, i) => {
    const [status = '', description = ''] = text.split(': ')
    return { revision: statuses.length - i, status, description }
  })

describe('the revision of a rollback', () => {
  it.each([
    ['an upgrade that worked', history('deployed: Upgrade complete', 'superseded'), 1],
    ['one that failed', history('failed', 'deployed'), 1],
    ['one that failed twice', history('failed', 'failed', 'deployed', 'superseded'), 2],
    ['one that worked at the second try', history('deployed: Upgrade complete', 'failed', 'superseded'), 1],
    ['one that was killed', history('pending-upgrade', 'deployed'), 1],
    ['a first install', history('deployed: Install complete'), undefined],
    ['a first install that was killed', history('pending-install'), undefined],
    [
      'what was brought back already',
      history('deployed: Rollback to 1', 'superseded', 'superseded'),
      undefined,
    ],
    [
      'what was brought back, and upgraded again',
      history('deployed: Upgrade complete', 'superseded: Rollback to 1', 'superseded', 'superseded'),
      3,
    ],
    ['a way back that failed', history('failed: Rollback to 1', 'deployed', 'superseded'), 2],
    ['nothing', [], undefined],
  ])('%s', (_, revisions, wanted) => {
    expect(revisionBefore(revisions)).toBe(wanted)
  })
})
