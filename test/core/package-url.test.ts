import { describe, expect, it } from 'vitest'
import { packageUrl } from '../../src/core/package-url.ts'

describe('packageUrl', () => {
  it.each([
    [
      packageUrl('oci', ['busybox'], {
        version: `sha256:${'a'.repeat(64)}`,
        repository_url: 'docker.io/library/busybox',
        tag: '1.36',
      }),
      `pkg:oci/busybox@sha256:${'a'.repeat(64)}?repository_url=docker.io%2Flibrary%2Fbusybox&tag=1.36`,
    ],
    [
      packageUrl('deb', ['debian', 'g++'], { version: '4:1~2', arch: undefined }),
      'pkg:deb/debian/g%2B%2B@4:1~2',
    ],
    [packageUrl('pypi', ['Foo_Bar'], { version: '1.0+cu12' }), 'pkg:pypi/foo-bar@1.0+cu12'],
    [packageUrl('generic', ['a b'], { checksum: 'sha256:ab' }), 'pkg:generic/a%20b?checksum=sha256%3Aab'],
  ])('%s', (url, expected) => {
    expect(url).toBe(expected)
  })
})
