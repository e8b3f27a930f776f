import { isIP } from 'node:net'

/** Whether a text is an address, or a network with its prefix: `10.0.0.0/24`. A hexadecimal host name such as `db1` is neither. */
export function isNetwork(text: string): boolean {
  const [, address = '', bits = '0'] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const family = isIP(address)
  return family !== 0 && Number(bits) <= (family === 4 ? 32 : 128)
}
