import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { AirgapError } from '../../../src/core/errors.ts'
import type { StackManifest } from '../../../src/manifest/stack.ts'
import { home } from '../places.ts'
import { knownArchitectures } from './needs.ts'

const usage =
  'scripts/kubespray-list CHECKOUT [--inventory DIR] [--arch amd64,arm64] [--set key=value …] [--manifest FILE] [--with VARIANT]… [--allow-optional] [-o text|json]'

export interface Options {
  checkout: string
  /** the folder with group_vars */
  inventory: string
  /** empty: those of the manifest */
  architectures: string[]
  set: Record<string, unknown>
  manifest: string
  /** variants of the manifest */
  variants: string[]
  /** the manifest may have what the inventory disables */
  allowOptional: boolean
  json: boolean
}

/** Throws USAGE. */
export function parseOptions(argv: string[]): Options {
  const { values, positionals } = parsed(argv)
  const [checkout, ...settings] = positionals
  if (checkout === undefined) throw misused('a kubespray checkout is required', 'CHECKOUT')
  if (!['text', 'json'].includes(values.output)) throw misused('unknown output format', values.output)
  return {
    checkout: resolve(checkout),
    inventory: resolve(values.inventory ?? join(checkout, 'inventory/sample')),
    architectures: values.arch?.split(',').filter(Boolean) ?? [],
    set: Object.fromEntries([...values.set, ...settings].map(setting)),
    manifest: resolve(values.manifest),
    variants: values.with,
    allowOptional: values['allow-optional'],
    json: values.output === 'json',
  }
}

/** Returns the requested architectures, by default those of the manifest. Throws USAGE for an unsupported one. */
export function architecturesOf(requested: string[], { platforms }: StackManifest): string[] {
  const all =
    requested.length > 0 ? requested : [...new Set(platforms.map(({ architecture }) => architecture))]
  const unknown = all.filter(name => !knownArchitectures.includes(name))
  if (unknown.length > 0) throw misused('unsupported architecture', unknown.join(', '))
  return all
}

function parsed(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        inventory: { type: 'string' },
        arch: { type: 'string' },
        set: { type: 'string', multiple: true, default: [] },
        manifest: { type: 'string', default: join(home, 'manifests/astrago.yaml') },
        with: { type: 'string', multiple: true, default: [] },
        'allow-optional': { type: 'boolean', default: false },
        output: { type: 'string', short: 'o', default: 'text' },
      },
    })
  } catch (error) {
    throw misused((error as Error).message.split('.')[0]!, argv.join(' '))
  }
}

/** `true` and `false` become booleans, because ansible's conditions treat strings differently. */
function setting(written: string): [string, unknown] {
  const at = written.indexOf('=')
  if (at < 1) throw misused('not key=value', written)
  const value = written.slice(at + 1)
  return [written.slice(0, at), /^(true|false)$/.test(value) ? value === 'true' : value]
}

function misused(what: string, item: string): AirgapError {
  return new AirgapError('USAGE', what, { item, next: usage })
}
