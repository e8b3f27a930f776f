import { globSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { roomRules, sourceRules } from './import-rules.ts'

const home = resolve(import.meta.dirname, '..')
const files = globSync('{src,scripts,test}/**/*.{ts,mjs}', { cwd: home }).sort()

/** file → the files of this repository that it imports, types included; paths relative to the repository */
const imports = new Map(
  files.map(file => {
    const text = readFileSync(join(home, file), 'utf8')
    const targets = [...text.matchAll(/\b(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map(match =>
      relative(home, resolve(home, dirname(file), match[1]!)),
    )
    return [file, targets]
  }),
)

const sources = files.filter(file => file.startsWith('src/'))
const programs = ['src/cli/airgap.ts', 'src/cli/offline-deploy.ts']

/** How a program reaches a file: `src/cli/airgap.ts → … → file`; the file alone where none does. */
function chainTo(file: string): string {
  const paths = programs.map(program => [program])
  const seen = new Set(programs)
  for (const path of paths) {
    const last = path.at(-1)!
    if (last === file) return path.join(' → ')
    for (const target of imports.get(last) ?? []) {
      if (seen.has(target)) continue
      seen.add(target)
      paths.push([...path, target])
    }
  }
  return file
}

/** Every circle of files as its chain, `a → b → a`; a file is in one of them at most. */
function circles(): string[] {
  const done = new Set<string>()
  const found: string[] = []
  const visit = (file: string, path: string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) found.push([...path.slice(start), file].join(' → '))
    if (start >= 0 || done.has(file)) return
    for (const target of imports.get(file) ?? []) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  return found
}

describe('folders of src', () => {
  const folders = readdirSync(join(home, 'src'), { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)

  it('each have a rule', () => {
    expect(folders.toSorted()).toEqual(Object.keys(sourceRules).sort())
  })

  it('their imports are found', () => {
    expect(imports.get('src/content/store.ts')).toContain('src/core/descriptor.ts')
    expect(imports.get('src/cli/airgap.ts')).toContain('src/cli/airgap/build.ts')
  })

  it.each(sources)('%s imports only what its folder may import', file => {
    const [, folder = '', own, ...deeper] = file.split('/')
    const rule = sourceRules[folder]
    const wrong = imports.get(file)!.filter(target => {
      const [top, to = '', other, ...inside] = target.split('/')
      if (top !== 'src') return true
      if (rule === 'any') return false
      if (to !== folder) return !rule?.includes(to)
      // a kind imports no other kind; the list of kinds alone imports them all
      if (folder !== 'kinds' || file === 'src/kinds/index.ts') return false
      return inside.length > 0 && (deeper.length === 0 || own !== other)
    })
    expect(wrong.map(target => `${chainTo(file)} → ${target}`)).toEqual([])
  })
})

describe('rooms of scripts/lib', () => {
  const rooms = readdirSync(join(home, 'scripts/lib'), { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)

  it('each have a rule', () => {
    expect(rooms.toSorted()).toEqual(Object.keys(roomRules).sort())
  })

  it.each(files.filter(file => file.startsWith('scripts/lib/')))(
    '%s imports only what its room may',
    file => {
      const [, , room = ''] = file.split('/')
      const wrong = imports.get(file)!.filter(target => {
        const [top, lib, to = '', ...inside] = target.split('/')
        if (top === 'test') return inside.length === 0 || target.endsWith('.test.ts')
        if (top !== 'scripts' || lib !== 'lib' || inside.length === 0) return false
        return to !== room && !roomRules[room]?.includes(to)
      })
      expect(wrong).toEqual([])
    },
  )
})

describe('all files', () => {
  it('import each other in no circle', () => {
    expect(circles()).toEqual([])
  })

  it('have 400 lines at most', () => {
    const long = files.filter(file => readFileSync(join(home, file), 'utf8').split('\n').length > 401)
    expect(long).toEqual([])
  })
})

describe('files of a program', () => {
  it.each(sources.filter(file => /^src\/cli\/(airgap|offline-deploy)\/.*\.ts$/.test(file)))(
    '%s defines a command, or is the options or the context of its program',
    file => {
      if (/\/(options|context)\.ts$/.test(file)) return
      expect(readFileSync(join(home, file), 'utf8')).toMatch(/^export (const|function) \w+Command\b/m)
    },
  )
})

describe('the closed side', () => {
  const closed = sources.filter(file =>
    /^src\/(?:deploy|install|site|serve|cli\/offline-deploy)\//.test(file),
  )

  it('opens bundles through one door, which checks them before anything is interpreted', () => {
    const readers = closed.filter(file => imports.get(file)!.includes('src/bundle/reader.ts'))
    // a serving process reads the file that its supervisor has opened and judged, and compares the digest; it has no path to open
    expect(readers).toEqual(['src/deploy/open-bundles.ts', 'src/deploy/serving-process.ts'])
    expect(imports.get('src/deploy/serving-process.ts')).not.toContain('src/bundle/byte-source.ts')
    // verifyBundle opens a path as well: it is handed the open file
    const verifiers = closed.filter(file => imports.get(file)!.includes('src/bundle/verify.ts'))
    expect(verifiers).toEqual(['src/deploy/verify.ts'])
  })
})

describe('the YAML parser', () => {
  it('is reached through one door, which bounds keys, aliases, depth and size', () => {
    const parsing = sources.filter(file => {
      const text = readFileSync(join(home, file), 'utf8')
      const names = [...text.matchAll(/import \{([^}]*)\} from 'yaml'/g)].flatMap(([, list = '']) =>
        list.split(','),
      )
      return names.some(name => /^(?:parse|Parser|Lexer|Composer|CST)/.test(name.trim()))
    })
    expect(parsing).toEqual(['src/document/parse-yaml.ts'])
  })
})

describe('the repository', () => {
  it('has no other folders at the top', () => {
    const fixed = ['src', 'manifests', 'image-lists', 'package-lists', 'bundle', 'scripts', 'test']
    const made = ['node_modules', 'dist', 'coverage']
    const folders = readdirSync(home, { withFileTypes: true }).filter(
      entry => entry.isDirectory() && !entry.name.startsWith('.'),
    )
    expect(folders.map(folder => folder.name).filter(name => ![...fixed, ...made].includes(name))).toEqual([])
  })
})
