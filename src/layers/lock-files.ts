import { parse as parseToml } from 'smol-toml'
import { z } from 'zod'
import { checked, json, one } from './language-files.ts'
import type { InstalledPackage } from './package.ts'
import { Unreadable } from './unreadable.ts'

/** Lock files of programming languages: all that an application was locked to, installed or not. */

const npmEntry = z.object({
  name: z.string().optional(),
  version: z.string().optional(),
  link: z.boolean().optional(),
})
const npmSchema = z.object({
  packages: z.record(z.string(), npmEntry).optional(),
  dependencies: z.record(z.string(), npmEntry).optional(),
})

/** package-lock.json and npm-shrinkwrap.json: paths in versions 2 and 3, names in version 1, where nested ones are left out. */
export function readNpmLock(bytes: Buffer, path: string): InstalledPackage[] {
  const { packages, dependencies = {} } = checked(npmSchema, json(bytes))
  const entries =
    packages === undefined
      ? Object.entries(dependencies)
      : Object.entries(packages).flatMap(([place, entry]) => {
          const at = place.lastIndexOf('node_modules/')
          return at < 0 || entry.link ? [] : [[place.slice(at + 'node_modules/'.length), entry] as const]
        })
  return entries.flatMap(([name, entry]) =>
    one('npm', { name: entry.name ?? name, version: entry.version, path }),
  )
}

const tomlSchema = z.object({
  package: z.array(z.object({ name: z.string(), version: z.string().optional() })).optional(),
})

/** Cargo.lock. */
export function readCargoLock(bytes: Buffer, path: string): InstalledPackage[] {
  return tomlPackages(bytes).flatMap(fields => one('cargo', { ...fields, path }))
}

/** poetry.lock, uv.lock, pdm.lock. */
export function readPythonLock(bytes: Buffer, path: string): InstalledPackage[] {
  return tomlPackages(bytes).flatMap(fields => one('pypi', { ...fields, path }))
}

function tomlPackages(bytes: Buffer): { name: string; version: string | undefined }[] {
  let value: unknown
  try {
    value = parseToml(bytes.toString('utf8'))
  } catch {
    throw new Unreadable('it is not TOML')
  }
  return (checked(tomlSchema, value).package ?? []).map(({ name, version }) => ({ name, version }))
}

const pipSchema = z.object({
  default: z.record(z.string(), z.object({ version: z.string().optional() })).optional(),
})

/** Pipfile.lock: `==1.2.3`. */
export function readPipfileLock(bytes: Buffer, path: string): InstalledPackage[] {
  const { default: packages = {} } = checked(pipSchema, json(bytes))
  return Object.entries(packages).flatMap(([name, { version }]) =>
    one('pypi', { name, version: version?.replace(/^==/, ''), path }),
  )
}

/** Gemfile.lock: `    name (1.2.3)` below `specs:`. */
export function readGemfileLock(bytes: Buffer, path: string): InstalledPackage[] {
  return bytes
    .toString('utf8')
    .split('\n')
    .flatMap(line => {
      const [, name, version] = /^ {4}([^ (]{1,200}) \(([^) ,]{1,100})\)\r?$/.exec(line) ?? []
      return one('gem', { name, version, path })
    })
}
