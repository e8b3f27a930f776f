import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { parseStatement, printStatement, printTime } from '../../src/signature/statement.ts'
import { sample, writtenStatement } from './stock.ts'

const text = printStatement(sample())
const parse = (written: string | Buffer) => parseStatement(Buffer.from(written), 'B.tar.sums')

describe('the signed statement', () => {
  it('reads as it was printed, with and without an expiry', () => {
    for (const statement of [sample(), sample({ expires: '2027-11-27T00:00:00Z' })])
      expect(parse(printStatement(statement))).toEqual(statement)
  })

  it('is a list that `sha256sum -c` checks without a warning', () => {
    const { folder } = writtenStatement()
    const [index, node] = ['{}', '\u007fELF'].map(content => hexOf(digestOf(content)))
    const files = [
      { path: 'index.json', sha256: index! },
      { path: 'offline-deploy/node', sha256: node! },
    ]
    writeFileSync(join(folder, 'list'), printStatement(sample({ index: `sha256:${index}`, files })))
    mkdirSync(join(folder, 'offline-deploy'))
    writeFileSync(join(folder, 'index.json'), '{}')
    writeFileSync(join(folder, 'offline-deploy/node'), '\u007fELF')
    const check = () => spawnSync('sha256sum', ['--strict', '-c', 'list'], { cwd: folder, encoding: 'utf8' })
    expect(check()).toMatchObject({
      status: 0,
      stderr: '',
      stdout: 'index.json: OK\noffline-deploy/node: OK\n',
    })
    writeFileSync(join(folder, 'offline-deploy/node'), 'other')
    expect(check().status).toBe(1)
  })

  it.each([
    ['empty', ''],
    ['cut short', text.slice(0, -20)],
    ['without its last line end', text.slice(0, -1)],
    ['with other line ends', text.replaceAll('\n', '\r\n')],
    ['with a second line of one field', text.replace('# built', '# version: 2.0.0\n# built')],
    ['with an unknown field', text.replace('# built', '# note: hello\n# built')],
    ['with a blank after a field', text.replace('1.0.0', '1.0.0 ')],
    ['of another product', text.replace('astrago-airgap', 'other')],
    ['with fields in another order', text.replace(/(# stack.*\n)(# version.*\n)/, '$2$1')],
    ['with a sum of index.json other than its digest', text.replace('aaaa  index', 'aaab  index')],
    ['without index.json', text.replace(/^a+ .*\n/m, '')],
    ['with files out of order', text.replace(/(b{64}.*\n)(c{64}.*\n)/, '$2$1')],
    ['with one file twice', text.replace(/(b{64}.*\n)/, '$1$1')],
    ['with a sum of another length', text.replace('bbbb ', 'bbb ')],
    ['with upper-case hex digits', text.replace('bbbb ', 'BBBB ')],
    ['in the binary form of sha256sum', text.replace('b  off', 'b *off')],
    ['with a file outside the folder', text.replace('offline-deploy/node', 'offline-deploy/../../etc/x')],
    ['with a file that is an option', text.replace('offline-deploy/node', '--to-command=sh')],
    ['with an absolute path', text.replace('offline-deploy/node', '/offline-deploy/node')],
    ['with a dash at the start of a name', text.replace('offline-deploy/node', 'offline-deploy/-n')],
    ['with a name that a shell expands', text.replace('offline-deploy/node', 'offline-deploy/n*')],
    ['with a blank in a name', text.replace('offline-deploy/node', 'offline-deploy/n x')],
    ['with an escape sequence in a name', text.replace('offline-deploy/node', 'offline-deploy/\u001b[1m')],
    ['with letters beyond ASCII', text.replace('1.0.0', '1.0.0\u00e9')],
    ['with a day that does not exist', text.replace('2026-11-27', '2026-02-30')],
    ['built without a time', text.replace('T03:20:00Z', '')],
    [
      'that expires before it was built',
      text.replace(/(# built.*\n)/, '$1# expires: 2026-01-01T00:00:00Z\n'),
    ],
    ['larger than 64 KiB', text + `${'d'.repeat(64)}  offline-deploy/z\n`.repeat(900)],
  ])('is refused %s', (_, written) => {
    expect(written).not.toBe(text)
    expect(() => parse(written)).toThrow(expect.objectContaining({ code: 'SIGNATURE_INVALID' }))
  })

  it('has one form only: whatever parses prints as the same bytes', () => {
    const edit = fc.record({ at: fc.nat(text.length), cut: fc.nat(3), put: fc.string({ maxLength: 3 }) })
    fc.assert(
      fc.property(edit, ({ at, cut, put }) => {
        const bytes = Buffer.from(text.slice(0, at) + put + text.slice(at + cut))
        try {
          expect(printStatement(parse(bytes))).toBe(bytes.toString('latin1'))
        } catch (error) {
          expect(error).toMatchObject({ code: 'SIGNATURE_INVALID' })
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('has times to the second', () => {
    expect(printTime(new Date('2026-11-27T03:20:00.999Z'))).toBe('2026-11-27T03:20:00Z')
  })
})
