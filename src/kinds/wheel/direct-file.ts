import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { publicUrl } from '../../document/urls.ts'
import { distributionName } from './candidates.ts'
import { fragmentHashes } from './file-hash.ts'
import { fileNameOf, isFileName } from './file-name.ts'
import type { IndexFile } from './index-page.ts'
import type { Requirement } from './requirement.ts'
import { parseVersion } from './version.ts'

/**
 * The file of a requirement by URL (PEP 508): a wheel or a source distribution on a web server; undefined for other requirements. The site
 * serves it in its index, under its project and version. Throws MANIFEST_INVALID.
 */
export function directFile(requirement: Requirement, at: string): IndexFile | undefined {
  if (requirement.url === undefined) return undefined
  const refuse = (what: string, next: string) =>
    new AirgapError('MANIFEST_INVALID', what, {
      item: `${at}: ${requirement.project} @ ${redactUrl(requirement.url ?? '')}`,
      likely: 'the requirement was written for pip on a connected machine',
      next,
    })
  if (!/^https?:\/\//i.test(requirement.url))
    throw refuse(
      'a requirement by URL needs a wheel or a source distribution on a web server',
      'build a wheel of it, and name that by its https:// URL or carry it from an index of your own',
    )
  const url = publicUrl(requirement.url, at)
  const filename = fileNameOf(url)
  const named = isFileName(filename) ? distributionName(filename, requirement.project) : undefined
  if (named === undefined || parseVersion(named.version) === undefined)
    throw refuse(
      `the file name of the URL is not that of a wheel or .tar.gz of ${requirement.project}`,
      'name a file such as project-1.0-py3-none-any.whl or project-1.0.tar.gz',
    )
  const fragment = url.hash.slice(1)
  if (/(?:^|&)subdirectory=/.test(fragment))
    throw refuse('a part of a source distribution cannot be carried', 'build a wheel of it, and name that')
  url.hash = ''
  return { filename, url: url.href, hashes: fragmentHashes(fragment), direct: true }
}
