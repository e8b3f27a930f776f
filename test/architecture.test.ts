import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/** Which folder of src/ may import which. The rules are the design (data flows one way), executed. */
const allowed: Record<string, readonly string[] | 'any'> = {
  core: [],
  content: ['core'],
  remote: ['core', 'content'],
  document: ['core'],
  manifest: ['core', 'document', 'kinds'],
  lock: ['core', 'content'],
  kinds: ['core', 'content', 'remote', 'document', 'lock', 'openpgp'],
  discover: ['core'],
  compat: ['core', 'document', 'manifest'],
  openpgp: ['core'],
  probe: ['core'],
  bundle: ['core', 'content'],
  build: ['core', 'content', 'remote', 'manifest', 'lock', 'kinds', 'bundle', 'probe', 'compat'],
  serve: ['core', 'content'],
  site: ['core', 'content'],
  inventory: ['core', 'document'],
  install: ['core', 'content', 'document', 'site', 'inventory'],
  cli: 'any',
}

const root = resolve(import.meta.dirname, '..')
const src = join(root, 'src')
const sources = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))

function importsOf(file: string): string[] {
  const text = readFileSync(join(src, file), 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map(match =>
    relative(src, resolve(dirname(join(src, file)), match[1]!)),
  )
}

describe('architecture', () => {
  it('has a rule and a README for every folder of src', () => {
    const folders = readdirSync(src, { withFileTypes: true }).filter(entry => entry.isDirectory())
    expect(folders.map(folder => folder.name).filter(name => !(name in allowed))).toEqual([])
    for (const folder of folders)
      expect(readFileSync(join(src, folder.name, 'README.md'), 'utf8')).toContain('May import')
  })

  it('finds the imports it is to check', () => {
    expect(importsOf('content/store.ts')).toContain('core/descriptor.ts')
  })

  it.each(sources)('%s imports only what its folder may', file => {
    const folder = file.split('/')[0]!
    const rule = allowed[folder]
    if (rule === 'any') return
    const wrong = importsOf(file).filter(target => {
      const to = target.split('/')[0]!
      if (to !== folder) return !rule?.includes(to)
      // a kind imports no other kind; the list of kinds alone imports them all
      if (folder !== 'kinds' || file === 'kinds/index.ts') return false
      const [, own, ...deeper] = file.split('/')
      const [, other, ...inside] = target.split('/')
      return inside.length > 0 && (deeper.length === 0 || own !== other)
    })
    expect(wrong).toEqual([])
  })

  // esbuild makes a chunk with a default export alone of a CommonJS package that is loaded so: its names are undefined
  it.each(sources)('%s loads no package by import()', file => {
    const text = readFileSync(join(src, file), 'utf8')
    expect([...text.matchAll(/\bimport\(\s*'(?!\.|node:)[^']*'/g)].map(([call]) => call)).toEqual([])
  })

  it('has only the fixed folders at the top', () => {
    const fixed = ['src', 'manifests', 'image-lists', 'package-lists', 'bundle', 'scripts', 'test']
    const made = ['node_modules', 'dist', 'coverage']
    const folders = readdirSync(root, { withFileTypes: true }).filter(
      e => e.isDirectory() && !e.name.startsWith('.'),
    )
    expect(folders.map(folder => folder.name).filter(name => ![...fixed, ...made].includes(name))).toEqual([])
  })
})
