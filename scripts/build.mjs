// Bundles the two programs into dist/, or into the folder that it is given. airgap.mjs loads its other parts when a command needs them; offline-deploy.mjs is a single
// file, because every bundle carries it. The same sources give the same bytes on any path: locks pin offline-deploy.mjs.
import { chmod, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const out = resolve(process.argv[2] ?? join(root, 'dist'))
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
  minifyWhitespace: true,
  minifySyntax: true,
  outdir: out,
  outExtension: { '.js': '.mjs' },
  banner: { js: require },
}

await rm(out, { recursive: true, force: true })
await build({
  ...options,
  entryPoints: { airgap: 'src/cli/airgap.ts' },
  splitting: true,
  chunkNames: 'airgap/[name]-[hash]',
  // a small young generation: a build would otherwise keep tens of megabytes of dead buffers
  banner: { js: `#!/usr/bin/env -S node --max-semi-space-size=2\n${require}` },
})
await build({
  ...options,
  entryPoints: { 'offline-deploy': 'src/cli/offline-deploy.ts' },
  // resolvers of the kinds: the closed side resolves nothing, and every bundle would carry them
  external: ['./resolve.ts'],
})
await chmod(join(out, 'airgap.mjs'), 0o755)
