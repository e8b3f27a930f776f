import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openBundles } from '../../src/deploy/open-bundles.ts'
import { sampleRequests } from '../../src/deploy/steps/sample-requests.ts'
import { sampleImage, sampleTree, writeBundle } from '../site/support/sample-site.ts'

it('the step check requests a manifest, the smallest file and the smallest package of each repository', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-requests-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'a.tar')
  const list = { 'index.json': '{}' }
  await writeBundle(path, [
    sampleImage('nvcr.io/nvidia/cuda:12'),
    ...sampleTree('files', { 'get.example/a b.txt': 'small', 'get.example/large': 'not so small' }, 'file'),
    ...sampleTree(
      'debs/debian-12',
      { 'dists/x/Packages': '', 'pool/a_1.deb': 'aa', 'pool/b_1.deb': 'b' },
      'deb',
    ),
    ...sampleTree('rpms/el9', { 'base/repodata/primary.xml': '', 'base/a-1.rpm': 'a' }, 'rpm'),
    ...sampleTree('pypi', { ...list, 'pip/pip-24-py3-none-any.whl': 'a wheel' }, 'wheel'),
    ...sampleTree('tree/deploy', { 'values.yaml': '' }),
  ])
  await using opened = await openBundles([path], { siteFolder: folder, expect: [], unknown: 'opened' })
  const site = { registry: '10.0.0.1:35000', httpServer: 'http://10.0.0.1:8080' }
  const requests = await sampleRequests(opened.bundles, site)
  expect(requests.map(({ url }) => url)).toEqual([
    'http://10.0.0.1:35000/v2/nvidia/cuda/manifests/12?ns=nvcr.io',
    'http://10.0.0.1:8080/debs/debian-12/pool/b_1.deb',
    'http://10.0.0.1:8080/files/get.example/a%20b.txt',
    'http://10.0.0.1:8080/pypi/pip/pip-24-py3-none-any.whl',
    'http://10.0.0.1:8080/rpms/el9/base/a-1.rpm',
  ])
})
