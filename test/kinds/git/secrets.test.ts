import { describe, expect, it } from 'vitest'
import { gitKind } from '../../../src/kinds/git/index.ts'
import { expectKindContract, refused } from '../support/context.ts'
import { repository } from './support/repository.ts'
import { createAgain, lock } from './support/resolve.ts'

describe('files that look like secrets', () => {
  const login = 'machine git.example login a password correct-horse\n'

  it('are refused, small or large, unless the entry declares them with a reason', async () => {
    const upstream = repository()
    const large = `# ${'x'.repeat(4000)}\npassword: correct-horse\n`
    upstream.commit({ 'a/.netrc': login, 'b/secrets.yaml': large, 'values.yaml': 'a: 1\n' })
    const error = await refused(lock(upstream.url, 'main'), 'MANIFEST_INVALID')
    expect(error.message).toContain('"a/.netrc": a file of logins')
    expect(error.message).toContain('"b/secrets.yaml": a file of secrets')
    await refused(
      lock(upstream.url, 'main', { secrets: [{ path: '.netrc', reason: 'a test' }] }),
      'MANIFEST_INVALID',
    )
    const secrets = [
      { path: '.netrc', reason: 'a test' },
      { path: 'b/*.yaml', reason: 'not used' },
    ]
    const locked = await lock(upstream.url, 'main', { secrets })
    expect(locked.secrets).toEqual([
      { path: 'a/.netrc', what: 'a file of logins', reason: 'a test' },
      { path: 'b/secrets.yaml', what: 'a file of secrets', reason: 'not used' },
    ])
    await expectKindContract(gitKind, locked)
    await createAgain(locked)
  })

  it('are searched in the commit, not in its ancestors', async () => {
    const upstream = repository()
    upstream.commit({ '.netrc': login })
    upstream.commit({ '.netrc': '' })
    expect((await lock(upstream.url, 'main', { history: 'full' })).secrets).toBeUndefined()
  })
})
