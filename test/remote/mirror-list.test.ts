import { describe, expect, it } from 'vitest'
import { fetchMirrorList, MirrorLists } from '../../src/remote/mirror-list.ts'

const read = (text: string, url = 'https://lists.example/x', variables = {}) =>
  fetchMirrorList({ url, variables }, { get: async () => ({ url, headers: {}, bytes: Buffer.from(text) }) })

describe('a list of mirrors', () => {
  it('has a URL in each line, with variables, in order', async () => {
    const text =
      '# comment\n\n http://a.example/el9/$basearch/ \r\nhttps://b.example/${basearch}\nhttp://a.example/el9/x86_64\nword\n'
    const { bases, digests } = await read(text, undefined, { basearch: 'x86_64' })
    expect(bases).toEqual(['http://a.example/el9/x86_64', 'https://b.example/x86_64'])
    expect(digests).toEqual([])
  })

  it('is a metalink with preferences, digests and alternates', async () => {
    const file = (name: string, inner: string) => `<file name="${name}">${inner}</file>`
    const text = `<?xml version="1.0"?>\n<metalink xmlns:mm0="x"><files>${file('other.xml', '<hash type="sha256">ee</hash>')}${file(
      'repomd.xml',
      `<verification><hash type="sha1">aa</hash><hash type="sha256">BB</hash></verification>
      <mm0:alternates><mm0:alternate><verification><hash type="sha512">cc</hash></verification></mm0:alternate></mm0:alternates>
      <resources><url protocol="rsync" preference="100">rsync://c.example/repodata/repomd.xml</url>
      <url protocol="http" preference="90">http://a.example/x/repodata/repomd.xml</url>
      <url protocol="https" preference="99">https://b.example/x/repodata/repomd.xml</url></resources>`,
    )}</files></metalink>`
    expect(await read(text)).toEqual({
      bases: ['https://b.example/x', 'http://a.example/x'],
      digests: [
        { type: 'sha256', hex: 'bb' },
        { type: 'sha512', hex: 'cc' },
      ],
    })
  })

  it.each([
    ['a document type', '<!DOCTYPE m [<!ENTITY a "b">]><metalink/>'],
    ['XML that is not well-formed', '<metalink><files>'],
    ['no mirror', '# Bad arch - not in list i386\n'],
    [
      'addresses in the network of this host (SSRF)',
      'http://169.254.169.254/\nhttp://127.0.0.1/\nhttp://10.1.1.1/\n',
    ],
    ['a password', 'http://me:secret@a.example/\n'],
    ['only other protocols', 'ftp://a.example/\nfile:///etc\nrsync://b.example/\n'],
  ])('with %s is refused', async (_, text) => {
    await expect(read(text)).rejects.toMatchObject({ code: 'UPSTREAM_INVALID' })
  })

  it('may name mirrors as close as it is itself', async () => {
    expect((await read('http://10.1.1.1/x\n', 'http://10.0.0.1/list')).bases).toEqual(['http://10.1.1.1/x'])
  })

  it('is read once for a build', async () => {
    let count = 0
    const get = async (url: string) => ({
      url,
      headers: {},
      bytes: Buffer.from(`http://a.example/${++count}\n`),
    })
    const lists = new MirrorLists({ get })
    const one = { url: 'http://x.example', variables: {} }
    expect(await Promise.all([lists.of(one), lists.of({ ...one })])).toEqual([
      { bases: ['http://a.example/1'], digests: [] },
      { bases: ['http://a.example/1'], digests: [] },
    ])
  })
})
