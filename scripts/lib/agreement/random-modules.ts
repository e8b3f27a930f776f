import type { ModuleDefaults, ModuleStream, RpmCandidate } from '../../../src/kinds/rpm/candidate.ts'
import { randomOf } from '../upstreams/seeded-random.ts'
import { fullNevra } from './nevra.ts'

export interface RandomModules {
  streams: ModuleStream[]
  defaults: ModuleDefaults[]
  /** modules.yaml of each repository */
  documents: string[]
  /** `name:stream` of the streams to enable */
  enabled: string[]
}

/** Makes streams that contain some of the packages; some are default streams, some require a stream of another module. */
export function randomModules(
  repositories: readonly RpmCandidate[][],
  { seed, modules }: { seed: number; modules: number },
): RandomModules {
  const random = randomOf(seed * 7 + 3)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const streams: ModuleStream[] = []
  const defaults: ModuleDefaults[] = []
  const documents = repositories.map(() => '')
  const enabled: string[] = []
  for (let i = 0; i < modules; i++) {
    const name = `mod${i}`
    const repository = Math.floor(random() * repositories.length)
    const count = 1 + Math.floor(random() * 3)
    const own = Array.from({ length: count }, (_, s) => `${s + 1}.0`)
    for (const stream of own) {
      for (const version of random() < 0.3 ? ['10', '20'] : ['10']) {
        const artifacts = repositories[repository]!.filter(() => random() < 0.03).map(fullNevra)
        const requires = new Map([['platform', ['el9']]])
        if (i > 0 && random() < 0.3)
          requires.set(`mod${Math.floor(random() * i)}`, pick([['1.0'], [], ['-2.0'], ['1.0', '2.0']]))
        const one: ModuleStream = {
          name,
          stream,
          version,
          context: `c${i}${stream.replace('.', '')}`,
          architecture: 'x86_64',
          repository,
          requires: [requires],
          artifacts,
          profiles: new Map(),
          document: '',
        }
        one.document = documentOf(one)
        streams.push(one)
        documents[repository] += one.document
      }
    }
    if (random() < 0.5) {
      const stream = pick(own)
      const document = `---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: ${name}\n  stream: "${stream}"\n  profiles: {}\n...\n`
      defaults.push({ name, stream, profiles: new Map(), repository, document })
      documents[repository] += document
    }
    if (random() < 0.4) enabled.push(`${name}:${pick(own)}`)
  }
  return { streams, defaults, documents, enabled }
}

function documentOf({
  name,
  stream,
  version,
  context,
  architecture,
  requires,
  artifacts,
}: ModuleStream): string {
  return [
    '---',
    'document: modulemd',
    'version: 2',
    'data:',
    `  name: ${name}`,
    `  stream: "${stream}"`,
    `  version: ${version}`,
    `  context: ${context}`,
    `  arch: ${architecture}`,
    '  summary: for a test',
    '  description: for a test',
    '  license:',
    '    module: [MIT]',
    '  dependencies:',
    '  - requires:',
    ...requires.flatMap(one =>
      [...one].map(([module, list]) => `      ${module}: [${list.map(s => `"${s}"`).join(', ')}]`),
    ),
    ...(artifacts.length === 0 ? [] : ['  artifacts:', '    rpms:', ...artifacts.map(one => `    - ${one}`)]),
    '...',
    '',
  ].join('\n')
}
