import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * helmfile itself downloads a chart that a release names by URL, into its cache. There it finds the archives that this program puts
 * into the cache first.
 */

/** Whether helmfile downloads the chart of a release with its own client (helmfile, pkg/remote/remote.go, `Parse`). */
export function isUrl(chart: string): boolean {
  return /^(?:https?|s3):\/\/|^[\w.+-]+::[a-z]/i.test(chart)
}

/** Puts an archive where helmfile looks for what it downloaded (pkg/remote/remote.go, `Fetch`). `url`: http or https. */
export async function placeInCache(url: string, { archive, cache }: { archive: string; cache: string }) {
  // the host as it is written, with its port
  const host = /^[^/]*\/\/(?:[^/?#@]*@)?([^/?#]*)/.exec(url)?.[1] ?? ''
  const path = decodeURIComponent(new URL(url).pathname)
  const key = `${url.slice(0, url.indexOf(':'))}_${host}`.replace(/:/g, '').replace(/[/.]/g, '_')
  const place = join(cache, key, dirname(path), basename(path))
  await mkdir(dirname(place), { recursive: true })
  await copyFile(archive, place)
}

/** Whether helmfile downloaded anything by URL into its cache. */
export async function hasDownloads(cache: string): Promise<boolean> {
  const names = await readdir(cache).catch(() => [])
  return names.length > 0
}
