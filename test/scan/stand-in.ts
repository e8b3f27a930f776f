import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Programs of the test in the place of grype and trivy: they take the same arguments and write JSON of the form that these document. They
 * find a vulnerability in each package that the database, a file of the test, lists: `{"openssl": {"id": …, "severity": …}}`.
 */
export async function makeStandIn(folder: string, name: 'grype' | 'trivy'): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, `#!${process.execPath}\n${common}\n${name === 'grype' ? grype : trivy}\n`)
  await chmod(path, 0o755)
  return path
}

/** What the stand-in was started with, one line each run. */
export async function runsOf(
  database: string,
): Promise<{ args: string[]; env: Record<string, string>; names: string[] }[]> {
  const text = await readFile(join(database, 'runs'), 'utf8')
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
}

const common = `
const { appendFileSync, existsSync, readFileSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const args = process.argv.slice(2)
const after = flag => args[args.indexOf(flag) + 1]
const database = process.env.GRYPE_DB_CACHE_DIR ?? process.env.TRIVY_CACHE_DIR
if (database === undefined || !existsSync(join(database, 'vulnerable.json'))) {
  process.stderr.write('failed to load vulnerability db: database does not exist\\n')
  process.exit(1)
}
const vulnerable = JSON.parse(readFileSync(join(database, 'vulnerable.json'), 'utf8'))
const bomPath = args.map(arg => arg.replace(/^sbom:/, '')).find(arg => arg.endsWith('sbom.json'))
const { components } = JSON.parse(readFileSync(bomPath, 'utf8'))
const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => /^(GRYPE|TRIVY)_/.test(key)))
appendFileSync(join(database, 'runs'), JSON.stringify({ args, env, names: components.map(one => one.name) }) + '\\n')
const found = components.filter(one => Object.hasOwn(vulnerable, one.name)).map(one => ({ one, about: vulnerable[one.name] }))
`

const grype = `
const matches = found.map(({ one, about }) => ({
  vulnerability: { id: about.id, dataSource: 'https://security.example/' + about.id, namespace: 'debian:distro:debian:12', severity: about.severity, fix: { versions: about.fixed ? [about.fixed] : [], state: about.fixed ? 'fixed' : 'not-fixed' }, advisories: [] },
  relatedVulnerabilities: about.alias ? [{ id: about.alias }] : [],
  matchDetails: [],
  artifact: { id: 'x', name: one.name, version: one.version, type: 'deb', locations: [], purl: one.purl },
}))
writeFileSync(after('--file'), JSON.stringify({ matches, source: {}, distro: {}, descriptor: { name: 'grype', version: '0.0.0-test', db: { status: { built: '2026-11-01T00:00:00Z', schemaVersion: 'v6.0.0' } } } }))
`

const trivy = `
const Vulnerabilities = found.map(({ one, about }) => ({
  VulnerabilityID: about.id, PkgName: one.name, PkgIdentifier: { PURL: one.purl }, InstalledVersion: one.version, FixedVersion: about.fixed ?? '', Severity: about.severity.toUpperCase(), PrimaryURL: 'https://avd.example/' + about.id,
}))
writeFileSync(after('--output'), JSON.stringify({ SchemaVersion: 2, ArtifactType: 'cyclonedx', Results: [{ Target: 'x', Class: 'os-pkgs', Vulnerabilities }, { Target: 'y' }] }))
`
