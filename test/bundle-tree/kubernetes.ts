// Validates Kubernetes objects against the schemas of a release, without a cluster: kubectl-validate contains them.
import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

// biome-ignore lint/suspicious/noExplicitAny: parts of objects of every kind; a wrong guess fails the test
export type Any = any
export interface Thing {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string }
  [field: string]: Any
}
export interface Verdict {
  /** number of valid objects */
  good: number
  /** `MPIJob pi`: objects of custom kinds without a definition */
  skipped: string[]
  /** `Deployment web: spec.x: Invalid value…` */
  wrong: string[]
}

const nameOf = ({ kind, metadata }: Thing) => `${kind} ${metadata?.name}`

/** Runs a program to its end and returns its stdout. */
export function run(program: string, args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  if (error) throw error
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${status}\n${stdout}\n${stderr}`)
  return stdout
}

export async function yamlFiles(folder: string): Promise<string[]> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  return files
    .filter(file => file.isFile() && /\.ya?ml$/.test(file.name))
    .map(file => join(file.parentPath, file.name))
    .sort()
}

/** A document with only comments is null: kubectl-validate reports on it, too. */
async function documentsOf(file: string): Promise<(Thing | null)[]> {
  return parseAllDocuments(await readFile(file, 'utf8')).map(document => document.toJS())
}

export async function objectsOf(file: string): Promise<Thing[]> {
  return (await documentsOf(file)).filter(document => document !== null)
}

/** Copies the definitions of custom resources into a separate folder, as kubectl-validate requires. */
export async function definitions(from: string, to: string): Promise<string> {
  await mkdir(to)
  for (const [index, file] of (await yamlFiles(from)).entries()) {
    const found = (await objectsOf(file)).filter(object => object.kind === 'CustomResourceDefinition')
    for (const [at, object] of found.entries())
      await writeFile(join(to, `${index}-${at}.yaml`), JSON.stringify(object))
  }
  return to
}

interface Status {
  status: string
  message?: string
  details?: { causes?: { field?: string; message: string }[] }
}

/** Validates every object of every file; throws where there is no verdict on one. */
export async function validate(
  folder: string,
  { version, crds }: { version: string; crds?: string },
): Promise<Verdict> {
  const answer = spawnSync(
    'kubectl-validate',
    ['--version', version, '-o', 'json', ...(crds === undefined ? [] : ['--local-crds', crds]), folder],
    { encoding: 'utf8', maxBuffer: 2 ** 28 },
  )
  if (answer.error) throw answer.error
  const statuses: Record<string, Status[]> = JSON.parse(answer.stdout)
  const verdict: Verdict = { good: 0, skipped: [], wrong: [] }
  for (const file of await yamlFiles(folder)) {
    const documents = await documentsOf(file)
    const answers = statuses[file] ?? []
    if (answers.length !== documents.length)
      throw new Error(`${file}: ${documents.length} documents, ${answers.length} answers`)
    for (const [index, document] of documents.entries())
      if (document !== null) judge(document, answers[index]!, verdict)
  }
  return verdict
}

function judge(object: Thing, { status, message = '', details }: Status, verdict: Verdict): void {
  const causes = (details?.causes ?? []).filter(cause => !nameOfRole(object, cause))
  if (status === 'Success' || (details?.causes?.length && causes.length === 0)) verdict.good++
  // an unknown version of one of Kubernetes' own API groups is not a custom resource
  else if (/failed to locate OpenAPI spec/.test(message) && isCustom(object))
    verdict.skipped.push(nameOf(object))
  else
    verdict.wrong.push(
      `${nameOf(object)}: ${causes.map(cause => `${cause.field ?? ''} ${cause.message}`).join('; ') || message}`,
    )
}

function isCustom({ apiVersion }: Thing): boolean {
  const [group, version] = apiVersion.split('/')
  return version !== undefined && group!.includes('.') && !group!.endsWith('.k8s.io')
}

/** kubectl-validate requires DNS names for all objects, but names of roles and bindings need only be path segments. */
function nameOfRole({ apiVersion, metadata }: Thing, cause: { field?: string; message: string }): boolean {
  return (
    apiVersion.startsWith('rbac.authorization.k8s.io/') &&
    cause.field === 'metadata.name' &&
    cause.message.includes('RFC 1123 subdomain') &&
    !/^\.{0,2}$|[/%]/.test(metadata.name)
  )
}
