import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { differenceOf, type LockDifference } from '../../src/kinds/lock-changes.ts'
import { formatLock } from '../../src/lock/lock.ts'
import type { Lock } from '../../src/lock/schema.ts'
import { sampleLock } from './support/sample-lock.ts'

const before = sampleLock()
const newCurl = '7.81.0-1ubuntu1.16'

function shown({ changes }: LockDifference): string[] {
  return changes.map(
    ({ change, group, name, before, after }) =>
      `${change} ${group} ${name} ${before?.version} → ${after?.version}`,
  )
}

/** The sample with other items of one kind. */
function withItems(kind: string, change: (items: Lock['items'][string]) => Lock['items'][string]): Lock {
  const lock = sampleLock()
  return { ...lock, items: { ...lock.items, [kind]: change(lock.items[kind]!) } }
}

describe('differenceOf', () => {
  it('finds nothing between equal locks', () => {
    expect(differenceOf(before, sampleLock())).toEqual({
      changes: [],
      settings: [],
      unchanged: {
        'chart charts': 1,
        'deb debs/ubuntu-22.04': 4,
        'file files': 1,
        'image images': 2,
        'runtime offline-deploy': 1,
        'wheel pypi (tools)': 2,
      },
    })
  })

  it('pairs the versions of an image, a chart, a package and a wheel', () => {
    const after = sampleLock({ curl: newCurl, nginx: '1.25.4', harbor: '1.14.1', jinja2: '3.1.4' })
    expect(shown(differenceOf(before, after))).toEqual([
      'changed images docker.io/library/nginx 1.25.3 → 1.25.4',
      'changed charts harbor 1.14.0 → 1.14.1',
      'changed debs/ubuntu-22.04 curl:amd64 7.81.0-1ubuntu1.15 → 7.81.0-1ubuntu1.16',
      'changed debs/ubuntu-22.04 libcurl4:amd64 7.81.0-1ubuntu1.15 → 7.81.0-1ubuntu1.16',
      'changed pypi (tools) jinja2 3.1.2 → 3.1.4',
    ])
  })

  it('counts the dependencies of a changed package that change with it, and names what requires it', () => {
    const { changes } = differenceOf(before, sampleLock({ curl: newCurl }))
    expect(changes.map(({ name, requiredBy, dependencies }) => [name, requiredBy, dependencies])).toEqual([
      ['curl:amd64', undefined, { changed: 1, unchanged: 2 }],
      ['libcurl4:amd64', 'curl', { changed: 0, unchanged: 2 }],
    ])
  })

  it('pairs a file by its path without the version', () => {
    const after = withItems('file', ([kubectl]) => [
      { ...kubectl!, name: 'dl.k8s.io/v1.29.0/kubectl', digest: digestOf('new') },
    ])
    expect(shown(differenceOf(before, after))).toEqual([
      'changed files dl.k8s.io/*/kubectl v1.28.6 → v1.29.0',
    ])
  })

  it('pairs no versions where one was replaced and another added', () => {
    const image = (tag: string) => sampleLock({ nginx: tag }).items['image']![1]!
    const after = withItems('image', ([busybox]) => [busybox!, image('1.26.0'), image('1.27.0')])
    expect(shown(differenceOf(before, after))).toEqual([
      'removed images docker.io/library/nginx 1.25.3 → undefined',
      'added images docker.io/library/nginx undefined → 1.26.0',
      'added images docker.io/library/nginx undefined → 1.27.0',
    ])
  })

  it('reports a replaced content under the same version', () => {
    const after = withItems('file', ([kubectl]) => [{ ...kubectl!, digest: digestOf('replaced') }])
    const [change] = differenceOf(before, after).changes
    expect(change).toMatchObject({
      before: { digest: digestOf('kubectl'), version: 'v1.28.6' },
      after: { digest: digestOf('replaced'), version: 'v1.28.6' },
    })
  })

  it.each([
    [
      'the mode of a file',
      withItems('file', ([kubectl]) => [{ ...kubectl!, executable: false }]),
      [{ path: 'executable', before: true, after: false }],
    ],
    [
      'a package that another one requires now',
      withItems('wheel', ([tools]) => {
        const [jinja2, markupsafe] = (tools as unknown as { distributions: object[] }).distributions
        return [{ ...tools!, distributions: [jinja2, { ...markupsafe, because: 'other' }] }]
      }),
      [{ path: 'because', before: 'jinja2', after: 'other' }],
    ],
  ])('reports %s although the content is the same', (_, after, facts) => {
    expect(differenceOf(before, after).changes).toEqual([
      expect.objectContaining({ change: 'changed', facts }),
    ])
  })

  it('reports the settings of a group and of the whole', () => {
    const after = withItems('deb', ([ubuntu]) => [{ ...ubuntu!, architectures: ['amd64', 'arm64'] }])
    expect(differenceOf(before, { ...after, platforms: ['linux/arm64'] }).settings).toEqual([
      {
        facts: [
          { path: 'platforms[linux/amd64]', before: 'linux/amd64' },
          { path: 'platforms[linux/arm64]', after: 'linux/arm64' },
        ],
      },
      { group: 'debs/ubuntu-22.04', facts: [{ path: 'architectures[arm64]', after: 'arm64' }] },
    ])
  })
})

describe('the text of a lock', () => {
  it('changes in few lines where one package changes', () => {
    const lines = (lock: Lock) => formatLock(lock).split('\n')
    const [old, fresh] = [lines(before), lines(sampleLock({ jinja2: '3.1.4' }))]
    expect(fresh).toHaveLength(old.length)
    // version, file name, URL, digest, metadata
    expect(fresh.filter((line, i) => line !== old[i])).toHaveLength(5)
  })
})
