import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readRequirements } from '../../../src/kinds/wheel/requirements-file.ts'
import { refused, temporaryFolder } from '../support/context.ts'

async function read(files: Record<string, string | Buffer>, indexes: string[] = []) {
  const folder = await temporaryFolder()
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  const { requirements, constraints, requireHashes } = await readRequirements(join(folder, 'r.txt'), {
    namedAt: 'stack.yaml:3:3',
    indexes,
  })
  const plain = (lines: { text: string; at: string }[]) =>
    lines.map(({ text, at }) => `${text} @ ${at.replace(`${folder}/`, '')}`)
  return { requirements: plain(requirements), constraints: plain(constraints), requireHashes }
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
    ['--find-links ./wheels', 'by their URLs'],
    ['-f https://x/wheels', 'by their URLs'],
    ['--no-index', 'indexes:'],
    ['-r https://x/requirements.txt', 'save it next to the manifest'],
    ['-e .', 'build a wheel'],
    ['--editable git+https://x/y', 'build a wheel'],
    ['./local', 'build a wheel'],
    ['../local', 'build a wheel'],
    ['/opt/x.whl', 'build a wheel'],
    ['local/x.whl', 'build a wheel'],
    ['C:\\x.whl', 'build a wheel'],
    ['git+https://x/y', 'build a wheel'],
    ['https://x/archive/main.zip', 'project @ URL'],
    ['https://user:secret@x/archive/main.zip', 'project @ URL'],
    ['--pre', 'prereleases:'],
    ['--no-binary :all:', 'sdists:'],
    ['--unknown', 'remove it'],
    ['name==$' + '{VERSION}', 'write the value itself'],
    ['name @ https://x/$' + '{VERSION}/y.whl', 'write the value itself'],
  ])('with %s are refused, and the error says what to do instead', async (line, next) => {
    const error = await refused(read({ 'r.txt': `a==1\n${line}\n` }), 'MANIFEST_INVALID')
    expect(error.exitCode).toBe(2)
    expect(error.item).toMatch(/r\.txt:2/)
    expect(error.next).toContain(next)
    expect(JSON.stringify([error.message, error.item])).not.toContain('secret')
  })

  it('may name the indexes of the manifest, with or without a login, and options that change nothing', async () => {
    const text = [
      '-i https://pypi.org/simple',
      '--extra-index-url=https://me:$' + '{TOKEN}@Pypi.Example/simple/',
      '--extra-index-url https://pypi.example:443/simple//',
      '--trusted-host pypi.example',
      '--only-binary=:all:',
      '--prefer-binary',
      '--use-feature=fast-deps',
      '-r more.txt',
      'a==1',
    ].join('\n')
    const indexes = ['https://pypi.org/simple/', 'https://pypi.example/simple']
    const found = await read({ 'r.txt': text, 'more.txt': '--require-hashes\n' }, indexes)
    expect(found.requirements.map(line => line.split(' ')[0])).toEqual(['a==1'])
    expect(found.requireHashes).toBe(true)
  })

  it('may name files by their URLs', async () => {
    const hash = `sha256=${'0'.repeat(64)}`
    const { requirements } = await read({
      'r.txt': [
        `name @ https://x/name-1-py3-none-any.whl#${hash}`,
        'name[extra]@https://x/name-1.tar.gz ; python_version < "3.12"',
        `https://x/a/My_Name-1%2Bcu1-py3-none-any.whl#${hash} ; sys_platform == "linux"`,
        'https://x/my-name-1.0.tar.gz',
        'https://x/1.0.tar.gz#egg=my.name',
      ].join('\n'),
    })
    expect(requirements.map(line => line.replace(/ @ \S*r\.txt:.*$/, ''))).toEqual([
      `name @ https://x/name-1-py3-none-any.whl#${hash}`,
      'name[extra]@https://x/name-1.tar.gz ; python_version < "3.12"',
      `My_Name @ https://x/a/My_Name-1%2Bcu1-py3-none-any.whl#${hash} ; sys_platform == "linux"`,
      'my-name @ https://x/my-name-1.0.tar.gz',
      'my.name @ https://x/1.0.tar.gz#egg=my.name',
    ])
  })

  it('may be UTF-16, as PowerShell writes them', async () => {
    const text = Buffer.from('\uFEFFa==1\r\nb==2\r\n', 'utf16le')
    for (const bytes of [text, Buffer.from(text).swap16()]) {
      const { requirements } = await read({ 'r.txt': bytes })
      expect(requirements.map(line => line.split(' ')[0])).toEqual(['a==1', 'b==2'])
    }
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
