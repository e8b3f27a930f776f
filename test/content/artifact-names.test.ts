import { describe, expect, it } from 'vitest'
import { checkArtifactNames, checkTreeName } from '../../src/content/artifact-names.ts'
import { defined } from '../../src/core/defined.ts'
import type { Descriptor } from '../../src/core/descriptor.ts'
import { digestOf } from '../../src/core/digest.ts'
import { annotationKeys, mediaTypes } from '../../src/core/media-types.ts'

const corrupt = expect.objectContaining({ code: 'BUNDLE_CORRUPT', exitCode: 6 })

function root(name: string, kind: string): Descriptor {
  return {
    mediaType: mediaTypes.ociManifest,
    digest: digestOf(name),
    size: 1,
    annotations: { [annotationKeys.refName]: name, [annotationKeys.kind]: kind },
    ...defined({ artifactType: ['image', 'chart'].includes(kind) ? undefined : mediaTypes.tree }),
  }
}

const traps = [
  '',
  '.',
  '..',
  '/',
  '/etc',
  '//',
  'tree/',
  'tree/.',
  'tree/..',
  'tree/../..',
  '../tree',
  './tree',
  'tree//a',
  'debs/../x',
  'debs/a/b',
  'debs/a/',
  'debs/.a',
  'tree/.ssh',
  'tree/-a',
  'tree/~',
  '~',
  'a:b',
  'C:/a',
  'tree/a\n',
  'tree/a\nb',
  'tree\r',
  'a\u0000b',
  'a\u001b[2J',
  'a\u007f',
  'a\u009b',
  'a\u2028b',
  'a\u202eb',
  'tree\\a',
  '..\\a',
  'tree/\ud800',
  '\udc00',
  'tree/A',
  'tree/a b',
  ' a',
  'tree/a ',
  'tree/%2e%2e',
  'tree/a?b',
  'tree/a#b',
  'tree/한글',
  'tree/ａ',
  `tree/${'x'.repeat(64)}`,
  'x'.repeat(2000),
  'tree/a+0',
  'tree/a+01',
  'tree/a+1+1',
  'tree/+1',
]

describe('names of artifacts in index.json (fault 108)', () => {
  it.each(traps)('refuses a tree named %j', name => {
    expect(() => checkArtifactNames([root(name, 'tree')])).toThrow(corrupt)
    expect(() => checkTreeName(name)).toThrow(corrupt)
  })

  it.each(traps)('refuses an image and a chart named %j', name => {
    expect(() => checkArtifactNames([root(name, 'image')])).toThrow(corrupt)
    expect(() => checkArtifactNames([root(name, 'chart')])).toThrow(corrupt)
    expect(() => checkArtifactNames([root(`charts/${name}:1.0.0`, 'chart')])).toThrow(corrupt)
  })

  it.each(['', 'Tree', '../tree', 'tree\n', 'tree kind', 'x'.repeat(40)])('refuses the kind %j', kind => {
    expect(() => checkArtifactNames([root('tree/a', kind)])).toThrow(corrupt)
  })

  it('refuses two artifacts of one kind with the same name', () => {
    const [one, two] = [root('docker.io/library/a:1', 'image'), root('docker.io/library/a:1', 'image')]
    expect(() => checkArtifactNames([one, { ...two, digest: digestOf('other') }])).toThrow(corrupt)
    expect(() => checkArtifactNames([one, root('docker.io/library/a:1', 'chart')])).not.toThrow()
  })

  it('shows the name in one line of plain text', () => {
    expect(() => checkArtifactNames([root('tree/a\n  next: run it as root\u001b[2J\ud800', 'tree')])).toThrow(
      expect.objectContaining({ item: '"tree/a\\n  next: run it as root\\u001b[2J\\ud800"' }),
    )
  })

  it.each([
    ['files', 'file'],
    ['pypi', 'wheel'],
    ['lock', 'bundle'],
    ['offline-deploy', 'runtime'],
    ['debs/ubuntu-22.04', 'deb'],
    ['rpms/rocky-9.2', 'rpm'],
    ['rpms/rocky-9.2+2', 'rpm'],
    ['tree/site_1.0-a', 'tree'],
    [`tree/${'x'.repeat(63)}`, 'tree'],
    ['docker.io/library/busybox:1.36', 'image'],
    [`quay.io/a/b@${digestOf('a')}`, 'image'],
    [`quay.io/a/b:v1@${digestOf('a')}`, 'image'],
    ['[fd00::1]:5000/a/b__c:V1', 'image'],
    ['charts/demo:1.0.0_x', 'chart'],
    ['ghcr.io/charts/demo:1.0.0', 'chart'],
  ])('accepts %s', (name, kind) => expect(() => checkArtifactNames([root(name, kind)])).not.toThrow())
})
