import type { StackManifest } from './stack.ts'

/**
 * Returns the hosts that the author of a manifest chose: of its URLs, registries and remapped sources. They may be anywhere, also in a
 * private network or on this machine; every other host is one that an upstream named.
 */
export function configuredHosts(manifest: StackManifest): Set<string> {
  const hosts = new Set<string>()
  const add = (text: string) => {
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || !URL.canParse(text)) return
    const { hostname } = new URL(text)
    // a file has none
    if (hostname !== '') hosts.add(hostname)
  }
  const walk = (value: unknown): void => {
    if (typeof value === 'string') add(value)
    else if (Array.isArray(value)) value.forEach(walk)
    else if (isPlain(value)) {
      // a reference of an image
      if (typeof value['host'] === 'string') add(`https://${value['host']}/`)
      Object.values(value).forEach(walk)
    }
  }
  walk(manifest)
  // of a mirror, the scheme is optional
  for (const { to } of manifest.sources)
    for (const place of to) add(place.includes('://') ? place : `https://${place}`)
  if (hosts.has('docker.io')) hosts.add('registry-1.docker.io')
  return hosts
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
