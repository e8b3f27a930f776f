import { existsSync, globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { roomRules, sourceRules } from './import-rules.ts'

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
