import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AirgapError } from '../../src/core/errors.ts'
import { formatReference, parseReference } from '../../src/core/reference.ts'

const digest = `sha256:${'a'.repeat(64)}`

describe('parseReference', () => {
  it.each([
    ['busybox:1.36', 'docker.io/library/busybox:1.36'],
    ['bitnami/keycloak:22', 'docker.io/bitnami/keycloak:22'],
    ['index.docker.io/library/x:1', 'docker.io/library/x:1'],
    ['quay.io/calico/node:v3.26.4', 'quay.io/calico/node:v3.26.4'],
    ['localhost:5000/a/b:1', 'localhost:5000/a/b:1'],
    ['[::1]:5000/a:1', '[::1]:5000/a:1'],
    [`nvcr.io/nvidia/cuda@${digest}`, `nvcr.io/nvidia/cuda@${digest}`],
    [`a.io/b:tag@${digest}`, `a.io/b:tag@${digest}`],
  ])('completes %s to %s', (written, full) => {
    expect(formatReference(parseReference(written))).toBe(full)
  })

  it.each([
    'busybox',
    'quay.io/calico/node',
    'quay.io/Calico/node:1',
    'quay.io/a/../b:1',
    'quay.io/a b:1',
    'quay.io/a:',
    `quay.io/a:${'x'.repeat(129)}`,
    'quay.io/a@sha256:123',
    'quay.io/a@md5:d41d8cd98f00b204e9800998ecf8427e',
    'https://quay.io/a:1',
    '-evil.io/a:1',
    'quay.io/a:1\n',
    '',
  ])('refuses %j', written => {
    expect(() => parseReference(written)).toThrowError(expect.objectContaining({ code: 'REFERENCE_INVALID' }))
  })

  it('throws only AirgapError, and formats what it accepts to the same text again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), text => {
        try {
          const full = formatReference(parseReference(text))
          expect(formatReference(parseReference(full))).toBe(full)
        } catch (error) {
          expect(error).toBeInstanceOf(AirgapError)
        }
      }),
    )
  })
})
