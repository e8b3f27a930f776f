import { basename, dirname, resolve } from 'node:path'
import type { z } from 'zod'
import { defined } from '../core/defined.ts'
import { isTemplate, mapOf, plain, textOf, yamlOf } from './read-source.ts'
import { siteFileSchema } from './schema.ts'
import type { SiteAnswers } from './starter.ts'

/** Reads what a values file says about the site; `notes` lists what is not converted. Throws VALUES_INVALID. */
export async function readValues(path: string, notes: string[]): Promise<Partial<SiteAnswers>> {
  const { value } = yamlOf(await textOf(path, 'VALUES_INVALID'), { file: path, code: 'VALUES_INVALID' })
  const top = mapOf(value)
  const shape = siteFileSchema.shape
  const nfsShape = shape.nfs.unwrap().shape
  const at = (name: string, value: unknown, schema: z.ZodType): string | undefined => {
    if (value === undefined || value === null || value === '') return undefined
    const text = plain(value)
    const wrong =
      text === undefined || isTemplate(text)
        ? [`${name}: ${text === undefined ? 'not plain text' : 'templates ({{ }}) are not evaluated'}`]
        : mistakesOf(schema, text, name)
    notes.push(...wrong.map(what => `not converted: ${path}: ${what}`))
    return wrong.length === 0 ? text : undefined
  }
  const nfs = mapOf(top['nfs'])
  const externalIP = at('externalIP', top['externalIP'], shape.externalIP)
  const server = at('nfs.server', nfs['server'], nfsShape.server)
  const folder = at('nfs.basePath', nfs['basePath'], nfsShape.path)
  const storageClass = at('nfs.storageClassName', nfs['storageClassName'], nfsShape.storageClass)
  if (server === undefined && (folder !== undefined || storageClass !== undefined))
    notes.push(`not converted: ${path}: nfs: the server is missing`)
  const others = [
    ...Object.keys(top).filter(key => key !== 'externalIP' && key !== 'nfs'),
    ...Object.keys(nfs).flatMap(key =>
      ['server', 'basePath', 'storageClassName'].includes(key) ? [] : `nfs.${key}`,
    ),
  ]
  if (others.length > 0)
    notes.push(`not converted: ${path}: ${others.join(', ')}: set what this site needs under values:`)
  const folderOf = dirname(resolve(path))
  const inEnvironments = basename(dirname(folderOf)) === 'environments'
  const environment = inEnvironments ? at('environment', basename(folderOf), shape.environment) : undefined
  if (!inEnvironments)
    notes.push(`${path} is not in a folder environments/NAME: the environment is prod unless --env is set`)
  return defined({
    environment,
    externalIP,
    nfs: server === undefined ? undefined : defined({ server, path: folder, storageClass }),
  })
}

export function mistakesOf(schema: z.ZodType, value: unknown, where: string): string[] {
  const checked = schema.safeParse(value)
  if (checked.success) return []
  return checked.error.issues.map(({ path, message, code }) => {
    const what = code === 'invalid_type' ? 'must be a number' : message
    return `${where}: ${path.length === 0 ? '' : `${path.join('.')} `}${what}`
  })
}
