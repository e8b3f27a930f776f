/**
 * Which form of a page a client is given: RFC 9110 section 12.5.1. A form's quality is that of the most specific range that
 * names it; the first of the best is taken, and the first of all where none is acceptable.
 */
export function preferred<T extends { mediaType: string }>(forms: readonly T[], accept: string): T {
  const ranges = parseAccept(accept)
  let best: { form: T; quality: number } | undefined
  for (const form of forms) {
    const quality = qualityOf(form.mediaType.split(';')[0]!.trim(), ranges)
    if (quality > (best?.quality ?? 0)) best = { form, quality }
  }
  return best?.form ?? forms[0]!
}

interface Range {
  type: string
  quality: number
}

/** Of a header this long no more is read. */
const maxRanges = 50

function parseAccept(accept: string): Range[] {
  return accept
    .split(',', maxRanges)
    .map(part => {
      const [type = '', ...parameters] = part.split(';').map(text => text.trim().toLowerCase())
      const written = parameters.find(parameter => parameter.startsWith('q='))?.slice(2)
      const quality = written === undefined ? 1 : Number(written)
      return { type, quality: quality >= 0 && quality <= 1 ? quality : 0 }
    })
    .filter(range => range.type !== '')
}

function qualityOf(mediaType: string, ranges: readonly Range[]): number {
  const [main] = mediaType.split('/')
  for (const type of [mediaType, `${main}/*`, '*/*']) {
    const range = ranges.find(one => one.type === type)
    if (range !== undefined) return range.quality
  }
  return 0
}
