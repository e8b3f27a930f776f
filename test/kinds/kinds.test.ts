import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { fileKind } from '../../src/kinds/file/index.ts'
import { entrySchemas, kinds } from '../../src/kinds/index.ts'
import { defineKind } from '../../src/kinds/kind.ts'

/** Keys of every form that an entry may have; those of forms inside it, too. */
function keysOf(schema: unknown): string[] {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional) return keysOf(schema.unwrap())
  if (schema instanceof z.ZodArray) return keysOf(schema.element)
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(keysOf)
  if (!(schema instanceof z.ZodObject)) return []
  return Object.entries(schema.shape).flatMap(([key, inner]) => [key, ...keysOf(inner)])
}

describe('the list of kinds', () => {
  it('has each name and each key of the manifest once', () => {
    for (const of of [kinds.map(({ name }) => name), kinds.map(({ entry }) => entry.key)])
      expect(new Set(of).size).toBe(of.length)
    expect(Object.keys(entrySchemas)).toEqual(kinds.map(({ entry }) => entry.key))
  })

  it.each(kinds)(
    '$name shows every key of its entries in the manifest that `airgap init` writes',
    ({ entry }) => {
      const text = entry.starter
      expect(text.endsWith('\n')).toBe(true)
      const active = text.replace(/^(\s*)# ?/gm, '$1')
      expect(Object.keys(parse(active))).toEqual([entry.key])
      const missing = keysOf(entrySchemas[entry.key]).filter(key => !new RegExp(`\\b${key}:`).test(active))
      expect(missing).toEqual([])
    },
  )

  it('serves each tree by one kind at most', () => {
    const trees = [
      'files',
      'debs/debian-12',
      'rpms/el9',
      'pypi',
      'git',
      'tree/deploy',
      'lock',
      'offline-deploy',
    ]
    const served = trees.map(tree =>
      kinds.flatMap(({ name, mounts }) => (mounts.http !== 'none' && mounts.http.serves(tree) ? [name] : [])),
    )
    expect(served).toEqual([['file'], ['deb'], ['rpm'], ['wheel'], ['git'], [], [], []])
  })
})

/** The compiler is the test: each line fails to compile without the comment before it, and with it where it would compile. */
describe('a kind that lacks something', () => {
  it('does not compile', () => {
    const { entry, inputs, mounts, components, packages, section, ...rest } = fileKind
    const whole = { ...rest, entry, inputs, mounts, components, packages, section }
    // @ts-expect-error -- no entry of the manifest
    defineKind({ ...rest, inputs, mounts, components, packages, section })
    // @ts-expect-error -- not in the digest of inputs
    defineKind({ ...rest, entry, mounts, components, packages, section })
    // @ts-expect-error -- nothing on the site
    defineKind({ ...rest, entry, inputs, components, packages, section })
    // @ts-expect-error -- not in the bill of materials
    defineKind({ ...rest, entry, inputs, mounts, packages, section })
    // @ts-expect-error -- no reasons for `inspect … why`
    defineKind({ ...rest, entry, inputs, mounts, components, section })
    // @ts-expect-error -- in no section of `inspect`
    defineKind({ ...rest, entry, inputs, mounts, components, packages })
    expect(defineKind(whole).name).toBe('file')
  })
})
