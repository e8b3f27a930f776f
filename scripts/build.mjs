// Bundles the two programs into dist/, or into the folder that it is given. airgap.mjs loads its other parts when a command needs them; offline-deploy.mjs is one
// file, because every bundle carries it. The same sources give the same bytes on any path: locks pin offline-deploy.mjs.
import { chmod, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { commentOf } from './lib/release/comment.mjs'

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
await buildOneFile('offline-deploy')
await chmod(join(out, 'airgap.mjs'), 0o755)

/**
 * Builds a program as one file that starts fast: the head, and in a comment everything that the head imports when a command needs it.
 * Node.js would parse 3 MB of code at every start, and skips a comment (150 ms of CPU time, and 45). `carried.mjs` loads them.
 */
async function buildOneFile(name) {
  const modules = []
  const plugin = {
    name: 'carried',
    setup(setup) {
      setup.onResolve({ filter: /^\./ }, ({ kind, path, resolveDir }) =>
        kind === 'dynamic-import'
          ? { path: relative(root, join(resolveDir, path)), namespace: 'carried' }
          : undefined,
      )
      setup.onLoad({ filter: /./, namespace: 'carried' }, ({ path }) => {
        const module = `./${path}`
        modules.push(module)
        const contents = `const { carried } = require('./scripts/lib/release/carried.mjs'); module.exports = carried('${module}')`
        return { contents, resolveDir: root }
      })
    },
  }
  const head = await build({
    ...options,
    entryPoints: { [name]: `src/cli/${name}.ts` },
    plugins: [plugin],
    write: false,
  })
  const loaders = modules.sort().map(module => `'${module}': () => require('${module}')`)
  const body = await build({
    ...options,
    stdin: { contents: `module.exports = { ${loaders.join(', ')} }`, resolveDir: root },
    format: 'cjs',
    banner: {},
    define: {
      'import.meta.url': 'carrier.url',
      'import.meta.filename': 'carrier.filename',
      'import.meta.dirname': 'carrier.dirname',
    },
    // resolvers of the kinds: the closed side resolves nothing, and every bundle would carry them
    external: ['./resolve.ts'],
    write: false,
  })
  const [start, source] = [head, body].map(built => built.outputFiles[0].text)
  await writeFile(join(out, `${name}.mjs`), start + commentOf(source))
}
