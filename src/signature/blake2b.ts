/**
 * BLAKE2b with a digest of 32 bytes (RFC 7693), with which minisign checks that a password is right. Node.js has the one of 64 bytes only,
 * of which this is no prefix: the length is part of the hash.
 */
export function blake2b256(message: Uint8Array): Buffer {
  return blake2b(message, 32)
}

/** `length`: of the digest, 1 to 64 bytes. */
export function blake2b(message: Uint8Array, length: number): Buffer {
  const h = BigUint64Array.from(iv)
  h[0]! ^= 0x01010000n ^ BigInt(length)
  const blocks = Math.max(1, Math.ceil(message.length / 128))
  for (let i = 0; i < blocks; i++) {
    const block = Buffer.alloc(128)
    block.set(message.subarray(i * 128, (i + 1) * 128))
    const last = i === blocks - 1
    compress(h, { block, counter: BigInt(last ? message.length : (i + 1) * 128), last })
  }
  const digest = Buffer.alloc(64)
  for (const [i, word] of h.entries()) digest.writeBigUInt64LE(word, 8 * i)
  return digest.subarray(0, length)
}

/** Section 2.6: the IV of SHA-512. */
const iv = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n,
]

/** Section 2.7; rounds 10 and 11 use the first two rows again. */
const sigma = [
  '0123456789abcdef',
  'ea489fd61c02b753',
  'b8c052fdae367194',
  '7931dcbe265a40f8',
  '905724afe1bc683d',
  '2c6a0b834d75fe19',
  'c51fed4a0763928b',
  'db7ec13950f4862a',
  '6fe9b308c2d714a5',
  'a2847615fb9e3cd0',
].map(row => [...row].map(digit => Number.parseInt(digit, 16)))

/** Section 3.2. */
function compress(
  h: BigUint64Array,
  { block, counter, last }: { block: Buffer; counter: bigint; last: boolean },
): void {
  const v = BigUint64Array.from([...h, ...iv])
  v[12]! ^= counter
  if (last) v[14]! ^= 0xffffffffffffffffn
  const m = Array.from({ length: 16 }, (_, i) => block.readBigUInt64LE(8 * i))
  for (let round = 0; round < 12; round++) {
    const s = sigma[round % 10]!
    for (const [i, [a, b, c, d]] of columnsThenDiagonals.entries()) {
      v[a] = v[a]! + v[b]! + m[s[2 * i]!]!
      v[d] = rotateRight(v[d]! ^ v[a], 32n)
      v[c] = v[c]! + v[d]
      v[b] = rotateRight(v[b]! ^ v[c], 24n)
      v[a] = v[a] + v[b] + m[s[2 * i + 1]!]!
      v[d] = rotateRight(v[d] ^ v[a], 16n)
      v[c] = v[c] + v[d]
      v[b] = rotateRight(v[b] ^ v[c], 63n)
    }
  }
  for (let i = 0; i < 8; i++) h[i]! ^= v[i]! ^ v[i + 8]!
}

const columnsThenDiagonals: readonly (readonly [number, number, number, number])[] = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
]

function rotateRight(word: bigint, bits: bigint): bigint {
  return BigInt.asUintN(64, (word >> bits) | (word << (64n - bits)))
}
