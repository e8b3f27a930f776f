import { spawnSync } from 'node:child_process'
import { relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Option } from 'commander'
import { describe, expect, it } from 'vitest'
import { loadCommands } from '../../../src/cli/shell/load-commands.ts'

describe('loadCommands', () => {
  const table = Object.fromEntries(['lock', 'completion', 'push'].map(name => [name, async () => name]))
  const all = Object.keys(table)
  const options = [new Option('-o, --output <format>'), new Option('-q, --quiet')]

  it.each([
    ['lock', ['lock']],
    ['lock --help', ['lock']],
    ['lock push', ['lock']],
    ['-q lock', ['lock']],
    ['-o json lock', ['lock']],
    ['-ojson lock', ['lock']],
    ['--output=json lock', ['lock']],
    ['--output lock push', ['push']],
    ['--version', []],
    ['-V', []],
    ['version', []],
    ['-o yaml version', []],
    ['-q --output json --version', []],
    ['', all],
    ['-q', all],
    ['--help', all],
    ['-h', all],
    ['help lock', all],
    ['completion bash', all],
    ['loc', all],
    ['toString', all],
    ['__proto__', all],
  ])('for %j loads %j', async (words, loaded) => {
    const argv = ['node', 'program', ...words.split(' ').filter(word => word !== '')]
    expect(await loadCommands(table, { argv, options })).toEqual(loaded)
  })
})

describe('a program', () => {
  const src = resolve(import.meta.dirname, '../../../src')
  /** Prints the address of each module that is loaded, on stderr. */
  const traced = `data:text/javascript,${encodeURIComponent(`
    import { writeSync } from 'node:fs'
    import { registerHooks } from 'node:module'
    registerHooks({ load(url, context, next) { writeSync(2, 'loads ' + url + '\\n'); return next(url, context) } })`)}`

  /** The loaded modules of `src/cli`, except those that both programs share. */
  function commandModules(program: string, args: string[]): string[] {
    const ran = spawnSync(
      process.execPath,
      ['--import', traced, resolve(src, 'cli', `${program}.ts`), ...args],
      {
        encoding: 'utf8',
      },
    )
    expect(ran.status).toBe(0)
    const loaded = [...ran.stderr.matchAll(/^loads (file:.*)$/gm)].map(([, url]) =>
      relative(src, fileURLToPath(url!)),
    )
    expect(loaded).toContain(`cli/${program}.ts`)
    return loaded.filter(file => /^cli\/[^/]+\//.test(file) && !file.startsWith('cli/shell/'))
  }

  it.each(['airgap', 'offline-deploy'])('loads no command to print its version: %s', program => {
    for (const args of [['--version'], ['-V'], ['version'], ['-o', 'json', 'version']])
      expect(commandModules(program, args)).toEqual([])
  })

  it('loads only the named command', () => {
    expect(commandModules('airgap', ['verify', '--help'])).toEqual([
      'cli/airgap/verify.ts',
      'cli/airgap/options.ts',
    ])
    const loaded = commandModules('offline-deploy', ['--quiet', 'probe', '--help'])
    expect(loaded).toContain('cli/offline-deploy/probe.ts')
    expect(loaded).not.toContain('cli/offline-deploy/apply.ts')
  })
})
