import { isIP } from 'node:net'

/** Returns the 4 or 16 bytes of an IP address in any of its forms, without a zone. */
export function ipBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  // URL writes it in one form: lower case, without dots, with at most one `::`
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const groups = (text: string) => text.split(':').filter(group => group !== '')
  const after = groups(tail ?? '')
  const all = [...groups(head), ...Array(8 - groups(head).length - after.length).fill('0'), ...after]
  return Buffer.from(all.map(group => group.padStart(4, '0')).join(''), 'hex')
}
