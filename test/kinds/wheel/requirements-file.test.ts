import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readRequirements } from '../../../src/kinds/wheel/requirements-file.ts'
import { refused, temporaryFolder } from '../support/context.ts'

async function read(files: Record<string, string>) {
  const folder = await temporaryFolder()
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  const { requirements, constraints } = await readRequirements(join(folder, 'r.txt'), 'stack.yaml:3:3')
  const plain = (lines: { text: string; at: string }[]) =>
    lines.map(({ text, at }) => `${text} @ ${at.replace(`${folder}/`, '')}`)
  return { requirements: plain(requirements), constraints: plain(constraints) }
}

describe('requirements files', () => {
  it('hold one requirement per line, with comments and continuations', async () => {
    const { requirements } = await read({
      'r.txt': [
        '\uFEFF# pinned',
        '',
        'ansible==8.5.0   # why',
        'cryptography==41.0.4 \\',
        '    --hash=sha256:aa \\',
        '    --hash=sha256:bb',
        '  jinja2==3.1.2 ; python_version < "3.12"  ',
        'a#b',
      ].join('\r\n'),
    })
    expect(requirements.map(line => line.replace(/ @ .*?(\d+)(?::\d+)?$/, ' @ $1'))).toEqual([
      'ansible==8.5.0 @ 3',
      'cryptography==41.0.4 --hash=sha256:aa --hash=sha256:bb @ 4',
      'jinja2==3.1.2 ; python_version < "3.12" @ 7',
      'a#b @ 8',
    ])
  })

  it('name other files by paths relative to themselves; everything in a constraint file is a constraint', async () => {
    const { requirements, constraints } = await read({
      'r.txt': '-r sub/more.txt\n--constraint=c.txt\na\n',
      'sub/more.txt': 'b\n-c../c2.txt\n--requirement deep.txt\n',
      'sub/deep.txt': 'c\n',
      'c.txt': 'a<2\n',
      'c2.txt': 'b<2\n-r sub/deep.txt\n',
    })
    expect(requirements.map(line => line.split(' ')[0])).toEqual(['b', 'c', 'a'])
    expect(constraints.map(line => line.split(' ')[0])).toEqual(['b<2', 'c', 'a<2'])
  })

  it.each([
    ['-i https://pypi.example/simple/', 'indexes:'],
    ['--index-url=https://user:secret@pypi.example/simple/', 'indexes:'],
    ['--extra-index-url https://x/', 'indexes:'],
    ['--find-links ./wheels', 'indexes:'],
    ['-f ./wheels', 'indexes:'],
    ['--trusted-host x', 'indexes:'],
    ['-e .', 'files:'],
    ['--editable git+https://x/y', 'files:'],
    ['./local', 'files:'],
    ['../local', 'files:'],
    ['/opt/x.whl', 'files:'],
    ['local/x.whl', 'files:'],
    ['git+https://x/y', 'files:'],
    ['https://x/y.whl', 'files:'],
    ['name @ https://x/y.whl', 'files:'],
    ['name@https://x/y.whl', 'files:'],
    ['--pre', 'prereleases:'],
    ['--no-binary :all:', 'sdists:'],
    ['--only-binary=:all:', 'sdists:'],
    ['--unknown', 'remove it'],
    ['name==$' + '{VERSION}', 'write the value itself'],
  ])('with %s are refused, and the error says what to do instead', async (line, next) => {
    const error = await refused(read({ 'r.txt': `a==1\n${line}\n` }), 'MANIFEST_INVALID')
    expect(error.exitCode).toBe(2)
    expect(error.item).toMatch(/r\.txt:2/)
    expect(error.next).toContain(next)
    expect(JSON.stringify([error.message, error.item])).not.toContain('secret')
  })

  it('that name each other or nest endlessly are refused', async () => {
    const error = await refused(
      read({ 'r.txt': '-r sub/b.txt\n', 'sub/b.txt': '-r ../r.txt\n' }),
      'MANIFEST_INVALID',
    )
    expect(error.item).toMatch(/r\.txt → .*b\.txt → .*r\.txt/)
    const many = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [i === 0 ? 'r.txt' : `${i}.txt`, `-r ${i + 1}.txt\n`]),
    )
    await refused(read({ ...many, '40.txt': 'a\n' }), 'MANIFEST_INVALID')
  })

  it('that do not exist are reported with the line that names them', async () => {
    const error = await refused(read({ 'r.txt': 'a\n-r none.txt\n' }), 'FILE_NOT_FOUND')
    expect(error.item).toMatch(/none\.txt/)
    expect(error.likely).toMatch(/r\.txt:2/)
  })

  it('that name the next file twice at each level are refused quickly', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 18 }, (_, i) => [
        i === 0 ? 'r.txt' : `${i}.txt`,
        `-r ${i + 1}.txt\n-r ${i + 1}.txt\n`,
      ]),
    )
    await refused(read({ ...files, '18.txt': 'a\n' }), 'MANIFEST_INVALID')
  })
})
