import type { How } from '../found.ts'
import { isRegistryFolder } from './image-text.ts'

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

export function unversioned(text: string): { subject: string; reason: string } {
  if (isRegistryFolder(text))
    return {
      subject: text,
      reason: 'the path of images whose names its program adds: the rendering does not show them',
    }
  return {
    subject: text,
    reason: 'an image without a version: its program adds one that the rendering does not show',
  }
}
