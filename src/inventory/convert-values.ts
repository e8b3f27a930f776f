import { basename, dirname, resolve } from 'node:path'
import type { z } from 'zod'
import { isTemplate, mapOf, plain, textOf, yamlOf } from './read-source.ts'
import { siteFileSchema } from './schema.ts'
import type { SiteAnswers } from './starter.ts'

/** What a values file says of the site. */
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
        ? [`${name}: ${text === undefined ? 'is no plain text' : 'a template ({{ }}) is not evaluated here'}`]
        : mistakesOf(schema, text, name)
    notes.push(...wrong.map(what => `not taken over: ${path}: ${what}`))
    return wrong.length === 0 ? text : undefined
  }
  const nfs = mapOf(top['nfs'])
  const externalIP = at('externalIP', top['externalIP'], shape.externalIP)
  const server = at('nfs.server', nfs['server'], nfsShape.server)
  const folder = at('nfs.basePath', nfs['basePath'], nfsShape.path)
  const storageClass = at('nfs.storageClassName', nfs['storageClassName'], nfsShape.storageClass)
  if (server === undefined && (folder !== undefined || storageClass !== undefined))
    notes.push(`not taken over: ${path}: nfs: it names no server`)
  const others = [
    ...Object.keys(top).filter(key => key !== 'externalIP' && key !== 'nfs'),
    ...Object.keys(nfs).flatMap(key =>
      ['server', 'basePath', 'storageClassName'].includes(key) ? [] : `nfs.${key}`,
    ),
  ]
  if (others.length > 0)
    notes.push(`not taken over: ${path}: ${others.join(', ')}: what this site needs goes under values:`)
  const folderOf = dirname(resolve(path))
  const inEnvironments = basename(dirname(folderOf)) === 'environments'
  const environment = inEnvironments ? at('environment', basename(folderOf), shape.environment) : undefined
  if (!inEnvironments)
    notes.push(`${path} lies in no environments/NAME: the environment is prod, unless --env says another`)
  return {
    ...(environment === undefined ? {} : { environment }),
    ...(externalIP === undefined ? {} : { externalIP }),
    ...(server === undefined
      ? {}
      : {
          nfs: {
            server,
            ...(folder === undefined ? {} : { path: folder }),
            ...(storageClass === undefined ? {} : { storageClass }),
          },
        }),
  }
}

export function mistakesOf(schema: z.ZodType, value: unknown, where: string): string[] {
  const checked = schema.safeParse(value)
  if (checked.success) return []
  return checked.error.issues.map(({ path, message, code }) => {
    const what = code === 'invalid_type' ? 'must be a number' : message
    return `${where}: ${path.length === 0 ? '' : `${path.join('.')} `}${what}`
  })
}
