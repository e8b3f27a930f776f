// Bundles the two programs into one JavaScript file each: dist/airgap.mjs and dist/offline-deploy.mjs.
// The same sources give the same bytes on any path: offline-deploy.mjs is content that locks pin.
import { chmod, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"

const options = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'warning',
}

await mkdir(join(root, 'dist'), { recursive: true })
for (const name of ['airgap', 'offline-deploy']) {
  const outfile = join(root, 'dist', `${name}.mjs`)
  await build({
    ...options,
    entryPoints: [`src/cli/${name}.ts`],
    outfile,
    // small young generations: a build would otherwise hold tens of megabytes of dead buffers
    banner: { js: `#!/usr/bin/env -S node --max-semi-space-size=2\n${require}` },
  })
  await chmod(outfile, 0o755)
}
