import { z } from 'zod'

/** Fields that many entries of a manifest have. */

export const textField = z.string().min(1).max(2048)

/** Name of an entry; often also the name of a folder on the site. */
export const nameField = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be lower-case letters, digits, dot, dash or underscore')

export const versionField = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9.+~_-]{0,62}$/, 'must be a version such as 1.2.0')

export const platformField = z
  .string()
  .regex(/^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9]+)?$/, 'must be os/architecture, for example linux/amd64')

export const sha256Field = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')

export const httpUrlField = z.string().regex(/^https?:\/\//, 'must begin with https:// or http://')
