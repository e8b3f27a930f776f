import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { clusterEnvironment } from '../../src/install/kube.ts'
import { tempFolder } from './support.ts'

it('lets helm trust the CA of the site’s servers where there is one', async () => {
  const folder = await tempFolder()
  const cluster = { bin: '/bin', kubeconfig: '/kubeconfig', home: folder, caFile: join(folder, 'ca.crt') }
  expect(clusterEnvironment(cluster)).not.toHaveProperty('SSL_CERT_FILE')
  await writeFile(cluster.caFile, 'a CA')
  expect(clusterEnvironment(cluster)['SSL_CERT_FILE']).toBe(cluster.caFile)
})
