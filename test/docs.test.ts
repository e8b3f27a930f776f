import { existsSync, globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const home = resolve(import.meta.dirname, '..')
const pages = globSync('{*.md,{src,manifests,image-lists,package-lists,bundle,scripts,test}/**/*.md}', {
  cwd: home,
}).filter(page => !page.includes('node_modules'))

describe('documentation', () => {
  it.each(pages)('%s links to what there is', async page => {
    const text = await readFile(join(home, page), 'utf8')
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!.replace(/#.*$/, ''))
    const local = links.filter(link => link !== '' && !/^[a-z]+:/.test(link))
    expect(local.filter(link => !existsSync(join(home, dirname(page), decodeURIComponent(link))))).toEqual([])
  })
})
