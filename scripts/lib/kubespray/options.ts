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
  /** the folder that holds group_vars */
  inventory: string
  /** none: the manifest's */
  architectures: string[]
  set: Record<string, unknown>
  manifest: string
  /** of the manifest */
  variants: string[]
  /** what the inventory switches off may be in the manifest */
  allowOptional: boolean
  json: boolean
}

/** Throws USAGE. */
export function parseOptions(argv: string[]): Options {
  const { values, positionals } = parsed(argv)
  const [checkout, ...settings] = positionals
  if (checkout === undefined) throw misused('which checkout of kubespray?', 'CHECKOUT')
  if (!['text', 'json'].includes(values.output)) throw misused('no such format', values.output)
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

/** Those that were asked for; else those that the manifest carries. Throws USAGE for one that kubespray is not asked about here. */
export function architecturesOf(asked: string[], { platforms }: StackManifest): string[] {
  const all = asked.length > 0 ? asked : [...new Set(platforms.map(({ architecture }) => architecture))]
  const unknown = all.filter(name => !knownArchitectures.includes(name))
  if (unknown.length > 0) throw misused('no such architecture', unknown.join(', '))
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

/** true and false are not text to a condition of ansible. */
function setting(written: string): [string, unknown] {
  const at = written.indexOf('=')
  if (at < 1) throw misused('not key=value', written)
  const value = written.slice(at + 1)
  return [written.slice(0, at), /^(true|false)$/.test(value) ? value === 'true' : value]
}

function misused(what: string, item: string): AirgapError {
  return new AirgapError('USAGE', what, { item, next: usage })
}
