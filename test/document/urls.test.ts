import { describe, expect, it } from 'vitest'
import { publicUrl, refuseLogin } from '../../src/document/urls.ts'

describe('an address with a password', () => {
  it.each(['me:pw@host/x', '//me:pw@host/x', 'oci://me:pw@host/x', 'https://me:p@w@host/x'])(
    'is refused without showing it: %s',
    address => {
      try {
        refuseLogin(address, 'stack.yaml:3')
        expect.unreachable()
      } catch (error) {
        expect(error).toMatchObject({ code: 'MANIFEST_INVALID' })
        expect(JSON.stringify(error)).not.toContain('pw@')
        expect((error as { item: string }).item).not.toMatch(/pw|p@w/)
      }
    },
  )

  it('is not shown where the text is not a URL at all', () => {
    try {
      publicUrl('https://me:pa/ss word@ho st', 'stack.yaml:3')
      expect.unreachable()
    } catch (error) {
      expect((error as { item: string }).item).not.toContain('word')
    }
  })

  it.each(['registry.example:5000/x', 'https://mirror.example/a@b', 'docker.io/library'])(
    'takes %s, which has none',
    address => expect(refuseLogin(address, 'stack.yaml:3')).toBeUndefined(),
  )
})
