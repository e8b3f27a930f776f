import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { hasTool } from '../bundle/has-tool.ts'
import { noise, tempFolder } from '../bundle/samples.ts'
import { overlayServer } from '../serve/support/overlay.ts'
import { start } from '../serve/support/servers.ts'

const execute = promisify(execFile)

interface Client {
  /** runs a program in the folder of the test; returns its output */
  run(...command: string[]): Promise<string>
  /** `host:port` */
  registry: string
  /** the overlay's folder */
  overlay: string
  bytes: Buffer
}

/** A registry, and a folder with `file.bin`. */
async function client(): Promise<Client> {
  const [folder, overlay] = [await tempFolder(), await tempFolder()]
  const bytes = noise(900_000, 8)
  await writeFile(join(folder, 'file.bin'), bytes)
  const running = await start((await overlayServer(overlay)).server)
  const env = { ...process.env, HOME: folder }
  return {
    overlay,
    bytes,
    registry: `127.0.0.1:${running.port}`,
    async run(program = '', ...args) {
      const { stdout } = await execute(program, args, { cwd: folder, env })
      return stdout
    },
  }
}

describe('a push by a stock client', () => {
  it.skipIf(!hasTool('oras'))(
    'oras: artifacts, their referrers, copies and deletion (needs oras)',
    async () => {
      const { run, registry, bytes } = await client()
      const [one, two] = [`${registry}/team/art:1`, `${registry}/team/copy:1`]
      await run('oras', 'push', '--plain-http', one, 'file.bin')
      await run('oras', 'attach', '--plain-http', '--artifact-type', 'example/sbom', one, 'file.bin')
      expect(await run('oras', 'discover', '--plain-http', one)).toContain('example/sbom')
      await run('oras', 'copy', '-r', '--from-plain-http', '--to-plain-http', one, two)
      expect(await run('oras', 'discover', '--plain-http', two)).toContain('example/sbom')
      const pulled = await tempFolder()
      await run('oras', 'pull', '--plain-http', '-o', pulled, two)
      expect((await readFile(join(pulled, 'file.bin'))).equals(bytes)).toBe(true)
      await run('oras', 'manifest', 'delete', '--plain-http', '-f', two)
      await expect(run('oras', 'pull', '--plain-http', '-o', pulled, two)).rejects.toThrow('not found')
    },
  )

  it.skipIf(!hasTool('skopeo') || !hasTool('crane'))(
    'crane and skopeo: images, also straight from the folder of the overlay (needs crane, skopeo)',
    async () => {
      const { run, registry, overlay } = await client()
      await run('tar', 'cf', 'layer.tar', 'file.bin')
      await run('crane', 'append', '--insecure', '-f', 'layer.tar', '-t', `${registry}/team/app:1`)
      await run('crane', 'copy', '--insecure', `${registry}/team/app:1`, `${registry}/team/other:1`)
      expect(await run('crane', 'catalog', '--insecure', registry)).toBe('team/app\nteam/other\n')
      const insecure = ['--src-tls-verify=false', '--dest-tls-verify=false']
      const image = `docker://${registry}/team/other:1`
      // in a layout, skopeo finds images of OCI's media types alone
      await run('skopeo', 'copy', '--format', 'oci', ...insecure, image, `docker://${registry}/team/third:2`)
      await run('skopeo', 'delete', '--tls-verify=false', image)
      await expect(run('skopeo', 'inspect', '--tls-verify=false', image)).rejects.toThrow('manifest unknown')
      const layout = `oci:${join(overlay, 'repositories/team+third')}:2`
      await run('skopeo', 'copy', layout, 'dir:unpacked')
      const digest = (await run('crane', 'digest', '--insecure', `${registry}/team/third:2`)).trim()
      expect(await run('skopeo', 'manifest-digest', 'unpacked/manifest.json')).toBe(`${digest}\n`)
    },
  )

  it.skipIf(!hasTool('helm'))('helm: charts (needs helm)', async () => {
    const { run, registry } = await client()
    await run('helm', 'create', 'sample')
    await run('helm', 'package', 'sample')
    await run('helm', 'push', '--plain-http', 'sample-0.1.0.tgz', `oci://${registry}/charts`)
    await run(
      'helm',
      'pull',
      '--plain-http',
      `oci://${registry}/charts/sample`,
      '--version',
      '0.1.0',
      '-d',
      'sample',
    )
  })
})
