import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { hasTool } from '../bundle/has-tool.ts'
import { tempFolder } from '../bundle/samples.ts'
import { overlayServer } from '../serve/support/overlay.ts'
import { start } from '../serve/support/servers.ts'

const execute = promisify(execFile)

/** Everything that the suite can test, but SHA-512: content here has SHA-256 digests only. */
const settings = {
  OCI_TLS: 'disabled',
  OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
  OCI_API_BLOBS_DIGEST_HEADER: 'true',
  OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
  OCI_API_MANIFESTS_TAG_PARAM: 'true',
  OCI_DATA_SHA512: 'false',
}

it.skipIf(!hasTool('oci-conformance'))(
  'the registry passes the OCI conformance suite: pull, push, content discovery, content management (needs oci-conformance)',
  async () => {
    const running = await start((await overlayServer(await tempFolder())).server)
    const results = await tempFolder()
    const env = {
      PATH: process.env['PATH'],
      ...settings,
      OCI_REGISTRY: `127.0.0.1:${running.port}`,
      OCI_RESULTS_DIR: results,
    }
    const { stdout } = await execute('oci-conformance', [], { env, maxBuffer: 32 << 20 }).catch(
      (failed: { stdout: string }) => failed,
    )
    const summary = stdout.slice(stdout.indexOf('OCI Conformance Result'))
    expect(summary).toMatch(/^OCI Conformance Result: Pass$/m)
    expect(summary).not.toMatch(/\.: +(?:FAIL|Error|Skip)$/m)
    const report = await readFile(`${results}/results.yaml`, 'utf8')
    expect(report).toContain('apis:')
  },
  60_000,
)
