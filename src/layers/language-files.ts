import { z } from 'zod'
import { defined } from '../core/defined.ts'
import { cleanText, type InstalledPackage, type PackageType } from './package.ts'
import { Unreadable } from './unreadable.ts'

/** Files of package managers of programming languages, each of which describes packages that are installed. */

/** METADATA or PKG-INFO of Python (core metadata): headers up to the first blank line. */
export function readPythonMetadata(bytes: Buffer, path: string): InstalledPackage[] {
  const fields = new Map<string, string>()
  for (const line of bytes.toString('utf8').split(/\r?\n/)) {
    if (line === '') break
    const colon = line.indexOf(':')
    const key = line.slice(0, Math.max(0, colon)).toLowerCase()
    if (colon > 0 && !fields.has(key)) fields.set(key, line.slice(colon + 1))
  }
  const license = cleanText(fields.get('license-expression')) ?? cleanText(fields.get('license'))
  return one('pypi', {
    name: fields.get('name'),
    version: fields.get('version'),
    license: license === 'UNKNOWN' ? undefined : license,
    path,
  })
}

/** package.json of a folder of node_modules. */
export function readPackageJson(bytes: Buffer, path: string): InstalledPackage[] {
  const fields = jsonObject(bytes)
  const { license } = fields
  const type = typeof license === 'object' && license !== null && 'type' in license ? license.type : license
  return one('npm', { name: fields['name'], version: fields['version'], license: type, path })
}

/** A gem's specification: RubyGems names the file after it. */
export function readGemspec(_: Buffer, path: string): InstalledPackage[] {
  const file = path.endsWith('.gemspec') ? path.slice(path.lastIndexOf('/') + 1, -'.gemspec'.length) : ''
  const at = file.search(/(?<=.)-\d/)
  const name = at < 0 ? undefined : file.slice(0, at)
  const version = at < 0 ? undefined : file.slice(at + 1).split('-')[0]
  return one('gem', { name, version, path })
}

const composerPackage = z.object({
  name: z.string(),
  version: z.string(),
  license: z.array(z.unknown()).nullish(),
})
const composerSchema = z.object({ packages: z.array(composerPackage) })

/** vendor/composer/installed.json; Composer 1 wrote a list. */
export function readComposer(bytes: Buffer, path: string): InstalledPackage[] {
  const value = json(bytes)
  const { packages } = checked(composerSchema, Array.isArray(value) ? { packages: value } : value)
  return packages.flatMap(({ name, version, license }) =>
    one('composer', { name, version, license: license?.[0], path }),
  )
}

const depsSchema = z.object({ libraries: z.record(z.string(), z.object({ type: z.string() })) })

/** `*.deps.json` beside a program of .NET: `Name/1.2.3` → its type. */
export function readDotnet(bytes: Buffer, path: string): InstalledPackage[] {
  const { libraries } = checked(depsSchema, json(bytes))
  return Object.entries(libraries).flatMap(([key, { type }]) => {
    const [name, version] = key.split('/')
    return type === 'package' ? one('nuget', { name, version, path }) : []
  })
}

/** Nothing where name or version is missing: package.json files of folders that are no packages. */
export function one(
  type: PackageType,
  fields: { name: unknown; version: unknown; license?: unknown; path: string },
): InstalledPackage[] {
  const [name, version] = [cleanText(fields.name), cleanText(fields.version)]
  if (name === undefined || version === undefined) return []
  return [defined({ type, name, version, license: cleanText(fields.license), path: fields.path })]
}

export function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new Unreadable('it is not JSON')
  }
}

function jsonObject(bytes: Buffer): Record<string, unknown> {
  const value = json(bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Unreadable('it is not a JSON object')
  return value as Record<string, unknown>
}

export function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new Unreadable(`it is malformed: ${parsed.error.issues[0]?.path.join('.')}`)
}
