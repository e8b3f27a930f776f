import { describe, expect, it } from 'vitest'
import type { ModuleDefaults, ModuleStream } from '../../../src/kinds/rpm/candidate.ts'
import { chooseModules } from '../../../src/kinds/rpm/module-choice.ts'
import { candidate } from './candidates.ts'

function stream(name: string, own: string, more: Partial<ModuleStream> = {}): ModuleStream {
  return {
    name,
    stream: own,
    version: '1',
    context: 'c',
    architecture: 'x86_64',
    repository: 0,
    requires: [new Map([['platform', ['el9']]])],
    artifacts: [],
    profiles: new Map(),
    document: '',
    ...more,
  }
}

function choose(modules: string[], streams: ModuleStream[], defaults: ModuleDefaults[] = []) {
  return chooseModules({
    modules,
    streams,
    defaults,
    platform: 'platform:el9',
    architecture: 'x86_64',
    hotfixes: new Set([9]),
    at: 'airgap.yaml:1:1',
  })
}

const driver = [
  stream('nvidia-driver', '535-dkms', {
    artifacts: ['nvidia-driver-3:535-1.x86_64'],
    profiles: new Map([['default', ['nvidia-driver']]]),
  }),
  stream('nvidia-driver', 'latest-dkms', { artifacts: ['nvidia-driver-3:550-1.x86_64'] }),
]
const latest: ModuleDefaults = {
  name: 'nvidia-driver',
  stream: 'latest-dkms',
  profiles: new Map(),
  repository: 0,
  document: '',
}

describe('module streams', () => {
  it('hide packages of other streams and unmodular ones of the same name, hotfixes excepted', () => {
    const { isHidden, packages, enabled } = choose(['nvidia-driver:535-dkms/default'], driver, [latest])
    expect(isHidden(candidate('nvidia-driver-3:535-1.x86_64'))).toBe(false)
    expect(isHidden(candidate('nvidia-driver-3:550-1.x86_64'))).toBe(true)
    expect(isHidden(candidate('nvidia-driver-4:1-1.x86_64'))).toBe(true)
    expect(isHidden(candidate('other-1-1.x86_64', { provides: ['nvidia-driver'] }))).toBe(true)
    expect(isHidden(candidate('nvidia-driver-4:1-1.x86_64', { repository: 9 }))).toBe(false)
    expect(isHidden(candidate('bash-1-1.x86_64'))).toBe(false)
    expect(packages).toEqual(['nvidia-driver'])
    expect(enabled).toEqual(['nvidia-driver:535-dkms'])
  })

  it('takes the default stream where none is requested', () => {
    const { isHidden, enabled } = choose([], driver, [latest])
    expect(isHidden(candidate('nvidia-driver-3:550-1.x86_64'))).toBe(false)
    expect(isHidden(candidate('nvidia-driver-3:535-1.x86_64'))).toBe(true)
    expect(enabled).toEqual([])
  })

  it('bring the streams that they need', () => {
    const needs = stream('b', '1', {
      requires: [
        new Map([
          ['platform', ['el9']],
          ['a', ['1', '2']],
        ]),
      ],
    })
    const { active } = choose(['b:1'], [stream('a', '0'), stream('a', '2'), needs])
    expect(active.map(one => `${one.name}:${one.stream}`)).toEqual(['a:2', 'b:1'])
  })

  it.each([
    [
      'fault 49: two streams of one module',
      ['nvidia-driver:535-dkms', 'nvidia-driver:latest-dkms'],
      'streams of one module',
    ],
    ['fault 49: no default stream', ['nvidia-driver'], 'has no default stream'],
    [
      'fault 49: a stream that is not there',
      ['nvidia-driver:470'],
      'the stream nvidia-driver:470 does not exist',
    ],
    ['fault 49: a profile that is not there', ['nvidia-driver:535-dkms/gpu'], 'has no profile gpu'],
  ])('%s', (_, modules, message) => {
    expect(() => choose(modules, driver)).toThrow(message)
  })

  it('fault 49: refuses streams that need each other’s contrary, or another platform', () => {
    const needs = (own: string) => [new Map([['x', [own]]])]
    const streams = [
      stream('a', '1', { requires: needs('1') }),
      stream('b', '1', { requires: needs('2') }),
      stream('x', '1'),
      stream('x', '2'),
      stream('c', '1', { requires: [new Map([['platform', ['el8']]])] }),
    ]
    expect(() => choose(['a:1', 'b:1'], streams)).toThrow('cannot be enabled together')
    expect(() => choose(['c:1'], streams)).toThrow('c:1 needs module(platform:el8), which no repository has')
  })
})
