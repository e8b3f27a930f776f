import type { Mistakes } from '../document/mistakes.ts'
import type { PositionedDocument } from '../document/positioned.ts'
import { refuseLogin } from '../document/urls.ts'
import type { SourceRemap } from './stack.ts'

/** Returns the `sources:` of a manifest, an overlay or a test layer. Passwords in their addresses are mistakes. */
export function checkedSources(
  { value, at }: Pick<PositionedDocument<{ sources: SourceRemap[] }>, 'value' | 'at'>,
  mistakes: Mistakes,
): SourceRemap[] {
  value.sources.forEach(({ from, to }, i) => {
    mistakes.attempt(() => refuseLogin(from, at(['sources', i, 'from'])))
    to.forEach((place, j) => {
      mistakes.attempt(() => refuseLogin(place, at(['sources', i, 'to', j])))
    })
  })
  return value.sources
}
