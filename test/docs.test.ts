import { existsSync, globSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { roomRules, sourceRules } from './import-rules.ts'
import { allFlags, codeOf, textsOf, wrongFlagsInMessages, wrongInvocations } from './named-commands.ts'
import { allCommands, commandTree, programNames } from './programs.ts'

const home = resolve(import.meta.dirname, '..')
const pages = globSync('{*.md,{src,manifests,image-lists,package-lists,bundle,scripts,test}/**/*.md}', {
  cwd: home,
}).filter(page => !page.includes('node_modules'))

describe('documentation', () => {
  it.each(pages)('%s links to existing files only', async page => {
    const text = await readFile(join(home, page), 'utf8')
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!.replace(/#.*$/, ''))
    const local = links.filter(link => link !== '' && !/^[a-z]+:/.test(link))
    expect(local.filter(link => !existsSync(join(home, dirname(page), decodeURIComponent(link))))).toEqual([])
  })

  it.each([
    ...Object.entries(sourceRules).map(([folder, rule]) => [`src/${folder}`, rule] as const),
    ...Object.entries(roomRules).map(([room, rule]) => [`scripts/lib/${room}`, rule] as const),
  ])('%s/README.md names what the folder may import', async (folder, rule) => {
    const text = await readFile(join(home, folder, 'README.md'), 'utf8')
    const [, list = ''] = /May import:\s+([^.]*)\./.exec(text) ?? []
    if (rule === 'any') expect(list).toBe('everything')
    else if (rule.length === 0) expect(list).toMatch(/^(nothing|no )/)
    else expect([...list.matchAll(/`([^`]+)`/g)].map(([, name]) => name).sort()).toEqual(rule.toSorted())
  })
})

describe('commands and flags (fault 128)', async () => {
  const programs = {
    airgap: await commandTree('airgap'),
    'offline-deploy': await commandTree('offline-deploy'),
  }
  const flags = allFlags(programs)
  const ofScripts = await flagsOfScripts()

  it.each(pages)('%s names existing ones only', async page => {
    const code = codeOf(await readFile(join(home, page), 'utf8'))
    const bare = code.map(span => /^--[a-z][a-z-]*/.exec(span)?.[0]).filter(flag => flag !== undefined)
    const known = /^(src|bundle)\//.test(page) ? flags : new Set([...flags, ...ofScripts])
    expect([
      ...code.flatMap(span => wrongInvocations(span, { programs, code: true })),
      ...bare.filter(flag => !known.has(flag)),
    ]).toEqual([])
  })

  it.each(globSync('src/**/*.ts', { cwd: home }))('%s names existing ones only', async file => {
    const { comments, strings: all } = textsOf(await readFile(join(home, file), 'utf8'))
    // a style sheet is no message: its custom properties look like flags
    const strings = all.filter(text => !/\bcolor-scheme:|var\(--/.test(text))
    const texts = [...comments, ...strings]
    expect([
      ...texts.flatMap(text => wrongInvocations(text, { programs, code: false })),
      ...texts.flatMap(codeOf).flatMap(span => wrongInvocations(span, { programs, code: true })),
      ...wrongFlagsInMessages(strings, flags),
    ]).toEqual([])
  })

  it.each(programNames)('the help of %s names existing ones only', name => {
    for (const command of allCommands(programs[name])) {
      const help = fullHelp(command)
      expect([
        ...wrongInvocations(help, { programs, code: false }),
        ...wrongFlagsInMessages([help], flags),
      ]).toEqual([])
    }
  })

  it.each(
    Object.values(programs)
      .flatMap(allCommands)
      .filter(({ options }) => options.length > 1),
  )('the help of a command with several options has an example: $_name', command => {
    if (command.parent !== null) expect(fullHelp(command)).toContain('\nExamples:\n')
  })

  it.each([
    ['offline-deploy forget', 'offline-deploy forget'],
    ['airgap build --since receipt.json', 'airgap build --since'],
    ['offline-deploy nodes add x --limit a', 'offline-deploy nodes --limit'],
    ['./offline-deploy/offline-deploy verfy', 'offline-deploy verfy'],
    ['airgap lock -x', 'airgap lock -x'],
  ])('finds the fault in %s', (text, fault) => {
    expect(wrongInvocations(text, { programs, code: true })).toEqual([fault])
  })

  it('finds a wrong flag in a message, but not in the command line of another program', () => {
    const strings = [
      'pass --allow-old to continue',
      'run it with --yes',
      'helm history --max 3 shows why',
      '--plain',
    ]
    expect(wrongFlagsInMessages(strings, flags)).toEqual(['--allow-old'])
  })
})

describe('the catalogue of faults', async () => {
  const text = await readFile(join(home, 'test/hostile/README.md'), 'utf8')
  const rows = [...text.matchAll(/^\| (\d+) \|.*\| ([^|]*) \|$/gm)].map(([, fault, tests]) => ({
    fault: fault!,
    files: [...tests!.matchAll(/`([^`]+)`/g)].map(([, file]) => file!),
    isCovered: tests !== 'not covered yet',
  }))

  it('has every number once, in order', () => {
    expect(rows.map(({ fault }) => Number(fault))).toEqual(Array.from({ length: 131 }, (_, i) => i + 1))
  })

  it.each(rows.filter(({ isCovered }) => isCovered))(
    'names tests that name fault $fault',
    async ({ fault, files }) => {
      expect(files).not.toEqual([])
      for (const file of files) {
        const test = await readFile(join(home, 'test', file), 'utf8')
        const numbers = [...test.matchAll(/\bfaults? ((?:\d+(?:, | and )?)+)/g)].flatMap(([, list]) =>
          list!.match(/\d+/g),
        )
        expect(numbers, file).toContain(fault)
      }
    },
  )
})

/** Also what is added below the options: examples. */
function fullHelp(command: Command): string {
  let text = ''
  command.configureOutput({
    writeOut(part) {
      text += part
    },
  })
  command.outputHelp()
  return text
}

/** Options of scripts/*: in their own text, and in what parses them. */
async function flagsOfScripts(): Promise<Set<string>> {
  const found: string[] = []
  for (const entry of await readdir(join(home, 'scripts'), { withFileTypes: true })) {
    if (!entry.isFile() || entry.name.includes('.')) continue
    const text = await readFile(join(home, 'scripts', entry.name), 'utf8')
    found.push(...[...text.matchAll(/--[a-z][a-z-]*/g)].map(([flag]) => flag))
  }
  for (const file of globSync('scripts/lib/**/*.ts', { cwd: home })) {
    const text = await readFile(join(home, file), 'utf8')
    const options = text.matchAll(/^\s*'?([a-z-]+)'?: \{ type: '(?:string|boolean)'/gm)
    const literal = text.matchAll(/'(--[a-z][a-z-]*)'/g)
    found.push(...[...options].map(([, name]) => `--${name}`), ...[...literal].map(([, flag]) => flag!))
  }
  return new Set(found)
}
