import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { z } from 'zod'
import { defined } from '../core/defined.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { cleanText } from '../layers/package.ts'
import type { Finding, VexStatus } from './finding.ts'
import { isSameProduct } from './product.ts'

/** Statements about vulnerabilities: OpenVEX (openvex.dev) and the analyses of CycloneDX documents. */

interface VexStatement {
  /** names of the vulnerability */
  ids: Set<string>
  status: VexStatus
  justification?: string
  /** absent subcomponents: the product as a whole. A product is a package, or an image with everything in it */
  products: { id: string; subcomponents: string[] }[]
  file: string
}

const maxFile = 64 << 20 /* bytes */

const component = z.object({
  '@id': z.string().optional(),
  identifiers: z.record(z.string(), z.string()).optional(),
})
const openVexSchema = z.object({
  '@context': z.string().startsWith('https://openvex.dev/'),
  statements: z.array(
    z.object({
      vulnerability: z.union([
        z.string(),
        z.object({ name: z.string(), '@id': z.string().optional(), aliases: z.array(z.string()).optional() }),
      ]),
      status: z.enum(['not_affected', 'fixed', 'affected', 'under_investigation']),
      justification: z.string().optional(),
      impact_statement: z.string().optional(),
      products: z
        .array(z.union([z.string(), component.extend({ subcomponents: z.array(component).optional() })]))
        .optional(),
    }),
  ),
})

/** CycloneDX 1.4 to 1.6, `vulnerabilities[].analysis.state`. */
const states: Record<string, VexStatus> = {
  resolved: 'fixed',
  resolved_with_pedigree: 'fixed',
  exploitable: 'affected',
  in_triage: 'under_investigation',
  false_positive: 'not_affected',
  not_affected: 'not_affected',
}
const cycloneDxSchema = z.object({
  bomFormat: z.literal('CycloneDX'),
  vulnerabilities: z.array(
    z.object({
      id: z.string(),
      references: z.array(z.object({ id: z.string() })).optional(),
      analysis: z
        .object({
          state: z.string().optional(),
          justification: z.string().optional(),
          detail: z.string().optional(),
        })
        .optional(),
      affects: z.array(z.object({ ref: z.string() })).optional(),
    }),
  ),
})

/** Reads statements; later files, and later statements of a file, win. Throws FILE_NOT_FOUND, VALUES_INVALID. */
export async function readVex(paths: readonly string[]): Promise<VexStatement[]> {
  const statements: VexStatement[] = []
  for (const path of paths) statements.push(...(await readOne(path)))
  return statements
}

async function readOne(path: string): Promise<VexStatement[]> {
  let value: unknown
  try {
    if ((await stat(path)).size > maxFile) throw invalid(path, 'it is larger than 64 MiB')
    value = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw error instanceof SyntaxError ? invalid(path, 'it is not JSON') : fromSystemError(error, path)
  }
  const file = basename(path)
  const open = openVexSchema.safeParse(value)
  if (open.success) return open.data.statements.map(statement => fromOpenVex(statement, file))
  const cyclone = cycloneDxSchema.safeParse(value)
  if (cyclone.success) return cyclone.data.vulnerabilities.flatMap(one => fromCycloneDx(one, file))
  throw invalid(path, 'it is neither OpenVEX nor CycloneDX with vulnerabilities')
}

function invalid(path: string, what: string): AirgapError {
  return new AirgapError('VALUES_INVALID', `the VEX document cannot be used: ${what}`, {
    item: path,
    next: 'pass an OpenVEX document (JSON) or a CycloneDX document (JSON) with `vulnerabilities`',
  })
}

function fromOpenVex(
  statement: z.infer<typeof openVexSchema>['statements'][number],
  file: string,
): VexStatement {
  const { vulnerability, status, justification, impact_statement: impact, products = [] } = statement
  const names =
    typeof vulnerability === 'string'
      ? [vulnerability]
      : [vulnerability.name, ...(vulnerability.aliases ?? [])]
  return defined({
    ids: new Set(names),
    status,
    justification: cleanText(justification ?? impact),
    products: products.flatMap(product => {
      if (typeof product === 'string') return [{ id: product, subcomponents: [] }]
      const subcomponents = (product.subcomponents ?? []).flatMap(idsOf)
      return idsOf(product).map(id => ({ id, subcomponents }))
    }),
    file,
  })
}

function idsOf(one: z.infer<typeof component>): string[] {
  return [one['@id'], one.identifiers?.['purl']].filter(id => id !== undefined)
}

function fromCycloneDx(
  { id, references = [], analysis, affects = [] }: z.infer<typeof cycloneDxSchema>['vulnerabilities'][number],
  file: string,
): VexStatement[] {
  const status = states[analysis?.state ?? '']
  if (status === undefined) return []
  return [
    defined({
      ids: new Set([id, ...references.map(one => one.id)]),
      status,
      justification: cleanText(analysis?.justification ?? analysis?.detail),
      // a BOM-Link (`urn:cdx:SERIAL/VERSION#REF`) refers to a component of another document
      products: affects.map(({ ref }) => ({ id: refOf(ref), subcomponents: [] })),
      file,
    }),
  ]
}

function refOf(ref: string): string {
  const inner = /^urn:cdx:[^#]*#(.*)$/.exec(ref)?.[1]
  if (inner === undefined) return ref
  try {
    return decodeURIComponent(inner)
  } catch {
    return inner
  }
}

/** Returns the findings with what VEX says about them. A statement without products says nothing about these. */
export function applyVex(
  findings: readonly Finding[],
  {
    statements,
    imagePurls,
  }: { statements: readonly VexStatement[]; imagePurls: ReadonlyMap<string, string> },
): Finding[] {
  return findings.map(finding => {
    const names = [finding.id, ...finding.aliases]
    const said = statements.findLast(
      ({ ids, products }) =>
        names.some(name => ids.has(name)) &&
        products.some(({ id, subcomponents }) => {
          if (isPackage(finding, id)) return true
          const isImage = id === finding.target || isSameProduct(id, imagePurls.get(finding.target))
          return isImage && (subcomponents.length === 0 || subcomponents.some(one => isPackage(finding, one)))
        }),
    )
    if (said === undefined) return finding
    const { status, justification, file } = said
    return { ...finding, vex: defined({ status, justification, file }) }
  })
}

function isPackage({ purl }: Finding, id: string): boolean {
  return isSameProduct(id, purl)
}
