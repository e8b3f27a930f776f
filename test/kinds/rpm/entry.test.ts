import { describe, expect, it } from 'vitest'
import { inputsDigest } from '../../../src/resolve/inputs.ts'
import { load, refused } from '../../manifest/support.ts'

const rpms = (repository: string, entry = 'name: el9') =>
  `rpms:\n  - {${entry}, packages: [jq], repositories: [{id: base, keys: [k.asc], ${repository}}]}\n`

describe('what vouches for a repository', () => {
  it('is the signature of its list, that of its packages, or both; never neither', async () => {
    const url = 'baseurl: "http://mirror.example/el9"'
    const [repository] = (await load(rpms(url))).rpms[0]!.repositories
    expect(repository).toMatchObject({ metadata: 'signed', packages: 'signed' })
    for (const one of ['metadata', 'packages']) {
      const manifest = await load(rpms(`${url}, ${one}: unsigned`))
      expect(manifest.rpms[0]!.repositories[0]).toMatchObject({ [one]: 'unsigned' })
    }
    const error = await refused(
      load(rpms(`${url}, metadata: unsigned, packages: unsigned`)),
      'MANIFEST_INVALID',
    )
    expect(error.message).toContain('neither the packages of the repository nor their list are signed')
  })

  it('counts for the digest of the inputs only where it is not the default', async () => {
    const url = 'baseurl: "http://mirror.example/el9"'
    const digest = async (text: string) => inputsDigest(await load(rpms(text)))
    expect(await digest(`${url}, packages: signed`)).toBe(await digest(url))
    expect(await digest(`${url}, packages: unsigned`)).not.toBe(await digest(url))
  })
})
