import type { z } from 'zod'
import { type PositionedDocument, parsePositioned } from '../document/positioned.ts'

/** Parses a manifest, or a document that belongs to one; reports all mistakes together. Throws MANIFEST_INVALID. */
export function parseManifestDocument<S extends z.ZodType>(
  text: string,
  options: { file: string; schema: S },
): PositionedDocument<z.infer<S>> {
  return parsePositioned(text, {
    ...options,
    words: {
      code: 'MANIFEST_INVALID',
      what: 'the manifest is invalid',
      quotesLines: true,
      next: '`airgap init --dry-run` shows every key with an explanation',
    },
  })
}
