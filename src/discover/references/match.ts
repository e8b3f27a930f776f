import type { How } from '../found.ts'

/** What a rule found in a map. */
export interface Match {
  how: How
  path: string
  images?: string[]
  urls?: string[]
  undecided?: { subject: string; reason: string }[]
  perNode?: true
  dormant?: string
}

export function unversioned({ text, isFolder }: { text: string; isFolder: boolean }): {
  subject: string
  reason: string
} {
  if (isFolder)
    return {
      subject: text,
      reason: 'the path of images whose names its program adds: the rendering does not show them',
    }
  return {
    subject: text,
    reason: 'an image without a version: its program adds one that the rendering does not show',
  }
}
