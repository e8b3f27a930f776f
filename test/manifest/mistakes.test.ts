import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadManifest } from '../../src/manifest/load.ts'
import { folderWith, load, refused } from './support.ts'

/** The mistakes in the message, without the folder. */
async function mistakesOf(text: string, others: Record<string, string> = {}): Promise<string[]> {
  const error = await refused(load(text, others), 'MANIFEST_INVALID')
  return error.message
    .split('\n')
    .slice(1)
    .map(line => line.replace(/^\s*\S*\//, ''))
}

describe('mistakes in a manifest', () => {
  it('are reported all together, in the order of the file', async () => {
    const lines = await mistakesOf(
      'firstUse: maybe\nplatforms: [windows]\ncharts:\n  - name: Bad Name\n    repo: ftp://x\n    version: 1.0.0\n',
    )
    expect(lines.map(line => line.split(': ').slice(0, 2).join(' '))).toEqual([
      'stack.yaml:4:11 firstUse',
      'stack.yaml:5:13 platforms.0',
      'stack.yaml:7:11 charts.0.name',
      'stack.yaml:8:11 charts.0.repo',
    ])
  })

  it.each([
    ['imges: []\n', 'stack.yaml:4:1: unknown key "imges"; did you mean "images"?'],
    [
      'files:\n  - url: https://x.example/a\n    sha265: x\n',
      'stack.yaml:6:5: unknown key "sha265"; did you mean "sha256"?',
    ],
    [
      'images:\n  - ref: busybox:1\n    form: quay.io/x\n',
      'stack.yaml:6:5: unknown key "form"; did you mean "from"?',
    ],
    ['zzzzzzzz: 1\n', /^stack\.yaml:4:1: unknown key "zzzzzzzz"; known here: .*images/],
  ])('suggest the intended key: %j', async (text, wanted) => {
    const [line] = await mistakesOf(text)
    if (typeof wanted === 'string') expect(line).toBe(wanted)
    else expect(line).toMatch(wanted)
  })

  it('in an entry that resembles two forms are reported for the closer one', async () => {
    expect(await mistakesOf('images:\n  - {refs: a}\n')).toEqual([
      'stack.yaml:5:5: images.0.ref: is missing',
      'stack.yaml:5:6: unknown key "refs"; did you mean "ref"?',
    ])
    expect(await mistakesOf('images:\n  - {list: l.txt, ref: a}\n')).toEqual([
      'stack.yaml:5:19: "ref" is incompatible with the other keys here',
    ])
    expect(await mistakesOf('images:\n  - {list: l.txt, from: a}\n')).toEqual([
      'stack.yaml:5:19: "from" is incompatible with the other keys here',
    ])
  })

  it.each([
    [
      'many mistakes in sources:',
      'debs:\n  - name: u\n    sources:\n      - {archive: x.example, suit: jammy}\n      - {arch: u}\n    packges: jq\n',
      [
        'sources.0.suites',
        'sources.0.keys',
        'sources.0.archive',
        '"suit"; did you mean "suites"?',
        'sources.1.archive',
        'sources.1.suites',
        'sources.1.keys',
        '"arch"; did you mean "archive"?',
        '"packges"; did you mean "packages"?',
      ],
    ],
    [
      'sources: that is no list',
      'debs:\n  - {name: u, sources: {archive: a}}\n',
      ['sources: must be a list'],
    ],
    [
      'archive: with suites:',
      'debs:\n  - {name: u, archive: http://a.example, suites: [s], keys: [k]}\n',
      ['suite: is missing', '"suites"; did you mean "suite"?'],
    ],
  ])('in an entry of two forms are those of the form that the keys point to: %s', async (_, text, wanted) => {
    const lines = await mistakesOf(text)
    expect(lines).toHaveLength(wanted.length)
    for (const part of wanted) expect(lines.join('\n')).toContain(part)
  })

  it.each([
    [
      'images: [a, b\ncharts: []\n',
      '4:9: the list in brackets is not closed: "]" is missing',
      'images: [a, b',
      8,
    ],
    ['images:\n\t- a\n', '5:1: the line is indented with a tab: use spaces', ' - a', 0],
    [
      'images:\n  - a: b: c\n',
      '5:8: a second ": " on one line: put the value in quotes, or the inner key on a line of its own',
      '  - a: b: c',
      7,
    ],
    [
      'files:\n - url: x\n  sha256: y\n',
      '6:1: an element of a list must begin with "- ": check the indentation',
      '  sha256: y',
      0,
    ],
    ['images:\n- @x\n', '5:3: text that begins with this character must be in quotes', '- @x', 2],
    [
      'images:\n - ref: a\n   bad\n',
      '6:4: text without a colon where a key is expected: write "key: value", or check the indentation',
      '   bad',
      3,
    ],
    [
      'images: ["a, b]\n',
      `4:10: the text in double quotes is not closed: '"' is missing`,
      'images: ["a, b]',
      9,
    ],
  ])('of YAML are in plain words, with the line: %j', async (text, what, line, column) => {
    const { message } = await refused(load(text, {}), 'MANIFEST_INVALID')
    const number = /stack\.yaml:(\d+)/.exec(message)?.[1]
    expect(message).toMatch(typeof what === 'string' ? `stack.yaml:${what}\n` : what)
    expect(message).toContain(`${number} | ${line}\n`)
    expect(message.split('\n').find(row => row.includes('^'))).toMatch(
      new RegExp(`^ +\\| {${column + 1}}\\^$`),
    )
  })

  it('of YAML on a line with a password mask it', async () => {
    const text = 'files: [{url: "https://u:secret@x.example/a" x}]\n'
    const { message } = await refused(load(text, {}), 'MANIFEST_INVALID')
    expect(message).toContain('x.example/a" x}]\n')
    expect(message).not.toContain('secret')
  })

  it('in nested keys are reported in words, with their place', async () => {
    const lines = await mistakesOf(
      [
        'platforms: linux/amd64',
        'images:',
        '  - ref: busybox:1',
        '    platforms: []',
        '    referrers: "yes"',
        '    foreignLayers: keep',
        'debs:',
        '  - name: d',
        '    archive: ftp://x.example',
        '    suite: s',
        '    keys: []',
        '    packages: jq',
        '    recommend: true',
        'trees: {name: t}',
        'sources: [{from: docker.io}]',
        'files: [{url: "https://x.example/a", sha256: ABC}]',
        '',
      ].join('\n'),
    )
    expect(lines).toEqual([
      'stack.yaml:4:12: platforms: must be a list',
      'stack.yaml:7:16: images.0.platforms: must not be empty',
      'stack.yaml:8:16: images.0.referrers: must be true or false',
      'stack.yaml:9:20: images.0.foreignLayers: must be refuse or fetch',
      'stack.yaml:12:14: debs.0.archive: must begin with https:// or http://',
      'stack.yaml:14:11: debs.0.keys: must not be empty',
      'stack.yaml:15:15: debs.0.packages: must be a list',
      'stack.yaml:16:5: unknown key "recommend"; did you mean "recommends"?',
      'stack.yaml:17:8: trees: must be a list',
      'stack.yaml:18:11: sources.0.to: is missing',
      'stack.yaml:19:46: files.0.sha256: must be 64 lower-case hex digits',
    ])
  })

  it('include an unknown version of the format, and an empty file', async () => {
    const folder = await folderWith({ 'stack.yaml': 'apiVersion: airgap/v2\nname: a\nversion: "1"\n' })
    const error = await refused(loadManifest(join(folder, 'stack.yaml')), 'MANIFEST_INVALID')
    expect(error.message).toMatch(/stack\.yaml:1:13: apiVersion: must be airgap\/v1$/)
    const empty = await folderWith({ 'stack.yaml': '# nothing\n' })
    expect((await refused(loadManifest(join(empty, 'stack.yaml')), 'MANIFEST_INVALID')).message).toContain(
      'top level: must be a map',
    )
  })

  it('name a number that must be quoted, and missing keys', async () => {
    expect(await mistakesOf('charts:\n  - {name: a, repo: "https://x.example", version: 1.10}\n')).toEqual([
      'stack.yaml:5:51: charts.0.version: must be text: write it in quotes',
    ])
    expect(await mistakesOf('charts:\n  - name: a\n    version: 1.1.0\n')).toEqual([
      'stack.yaml:5:5: charts.0.repo: is missing',
    ])
  })

  it('include entries of the wrong type', async () => {
    expect(await mistakesOf('images:\n  - [a]\n  - 7\n')).toEqual([
      'stack.yaml:5:5: images.0: must be text or a map',
      'stack.yaml:6:5: images.1: must be text or a map',
    ])
  })

  it('in lists and references are reported together, too', async () => {
    const lines = await mistakesOf(
      'images:\n  - nope\n  - list: l.txt\n  - list: gone.txt\nfiles:\n  - url: https://x.example/\n',
      { 'l.txt': 'a b\nbusybox:1\nbusybox\n' },
    )
    expect(lines).toHaveLength(5)
    expect(lines.map(line => /^[\w.]+(:\d+:\d+)?/.exec(line)?.[0])).toEqual([
      'stack.yaml:5:5',
      'l.txt:1:1',
      'l.txt:3:1',
      'gone.txt',
      'stack.yaml:9:10',
    ])
  })

  it('are limited in number', async () => {
    const list = Array.from({ length: 400 }, (_, i) => `bad ${i}`).join('\n')
    const lines = await mistakesOf('images:\n  - list: l.txt\n', { 'l.txt': list })
    expect(lines).toHaveLength(51)
    expect(lines.at(-1)).toContain('350 more')
  })

  it('include a private address in an image list', async () => {
    const list =
      '10.61.3.31:35000/astrago/core:1\n[fd00::1]:5000/a/b:1\n127.0.0.1:5000/a/b:1\n172.32.0.1/a/b:1\n'
    expect(
      await mistakesOf('images:\n  - list: l.txt\n  - ref: 192.168.56.11/x/y:1\n', { 'l.txt': list }),
    ).toEqual([
      expect.stringMatching(
        /^l\.txt:1:1: 10\.61\.3\.31.*named by an address of a private network \(the name was copied from a site/,
      ),
      expect.stringMatching(/^l\.txt:2:1: \[fd00::1\].*an address of a private network/),
      expect.stringMatching(/^stack\.yaml:6:10: 192\.168\.56\.11.*an address of a private network/),
    ])
    const one = await refused(load('images: ["10.1.1.1/a/b:1"]\n'), 'MANIFEST_INVALID')
    expect(one.next).toContain('{ref: docker.io/…, from: ADDRESS/…}')
    await load('images:\n  - {ref: docker.io/a/b:1, from: 10.1.1.1:5000/a/b}\n')
  })
})
