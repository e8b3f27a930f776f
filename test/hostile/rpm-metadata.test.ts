import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isErrorCode } from '../../src/core/errors.ts'
import { parseComps } from '../../src/kinds/rpm/comps.ts'
import { readHeader, readSignatureHeader } from '../../src/kinds/rpm/header.ts'
import { parseModules } from '../../src/kinds/rpm/modules.ts'
import { parseRepomd } from '../../src/kinds/rpm/repomd.ts'

describe('any metadata from upstream', () => {
  const safe = (work: () => unknown) => {
    try {
      work()
    } catch (error) {
      expect(isErrorCode(error, 'UPSTREAM_INVALID')).toBe(true)
    }
  }

  it('is read, or refused with a proper error (property)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), bytes =>
        safe(() => readHeader(Buffer.from(bytes), 'x')),
      ),
    )
    const header = Buffer.concat([Buffer.from([0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0]), Buffer.alloc(200)])
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(190), fc.nat(255)), { maxLength: 20 }), changes => {
        const bytes = Buffer.from(header)
        for (const [at, value] of changes) bytes[8 + at] = value
        safe(() => {
          const parsed = readHeader(bytes, 'x')
          for (const tag of [1000, 1003, 268]) [parsed.string(tag), parsed.int32(tag), parsed.bin(tag)]
        })
        safe(() =>
          readSignatureHeader(
            Buffer.concat([Buffer.from([0xed, 0xab, 0xee, 0xdb]), Buffer.alloc(92), bytes]),
            'x',
          ),
        )
      }),
    )
    const words = fc.constantFrom(
      '<repomd>',
      '<data type="primary">',
      '</data>',
      '<location href="a"/>',
      '<checksum type="sha256">',
      '</checksum>',
      '</repomd>',
      '&',
      '<!DOCTYPE x>',
      'a',
      '<group>',
      '</group>',
      '<id>',
      '---\n',
      'document: modulemd\n',
      'data: {',
      '}',
      '\n',
      '*x',
      '&x ',
    )
    fc.assert(
      fc.property(fc.array(words, { maxLength: 20 }), parts => {
        safe(() => parseRepomd(parts.join(''), 'http://x.example/'))
        safe(() => parseComps(parts.join(''), { repository: 0, item: 'x' }))
        safe(() => parseModules(parts.join(''), { repository: 0, item: 'x' }))
      }),
    )
  })

  it('fault 59: modules.yaml with exponential aliases is refused', () => {
    const lines = ['document: modulemd', 'a: &a [x, x, x, x, x, x, x, x, x]']
    for (let i = 1; i < 9; i++)
      lines.push(
        `${'abcdefghij'[i]}: &${'abcdefghij'[i]} [${Array(9)
          .fill(`*${'abcdefghij'[i - 1]}`)
          .join(', ')}]`,
      )
    expect(() => parseModules(`---\n${lines.join('\n')}\n`, { repository: 0, item: 'x' })).toThrow(
      expect.objectContaining({ code: 'UPSTREAM_INVALID' }),
    )
  })

  it('has streams as strings: 1.10 is not a number', () => {
    const { streams } = parseModules(
      '---\ndocument: modulemd\nversion: 2\ndata: {name: a, stream: 1.10, version: 820, context: 0e5, arch: x86_64}\n',
      { repository: 0, item: 'x' },
    )
    expect([streams[0]?.stream, streams[0]?.context]).toEqual(['1.10', '0e5'])
  })
})
