// Part of offline-deploy.mjs: loads the modules that the file carries in a comment (scripts/build.mjs).
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileFunction } from 'node:vm'
import { inComment } from './comment.mjs'

let modules

/** Returns the exports of a carried module. */
export function carried(name) {
  modules ??= load()
  return modules[name]()
}

function load() {
  const url = import.meta.url
  const filename = fileURLToPath(url)
  const { source, linesBefore } = inComment(readFileSync(filename, 'utf8'))
  const names = ['require', 'module', 'exports', 'carrier']
  // with the file's own lines in stack traces
  const run = compileFunction(source, names, { filename, lineOffset: linesBefore })
  const module = { exports: {} }
  run(createRequire(url), module, module.exports, { url, filename, dirname: dirname(filename) })
  return module.exports
}
