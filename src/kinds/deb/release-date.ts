const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const weekday = /^(?:sun|mon|tue|wed|thu|fri|sat)/i

/**
 * A date of a Release file, as apt reads it (RFC1123StrToTime in apt-pkg/contrib/strutl.cc): the three forms of RFC 9110 section
 * 5.6.7, in UTC, GMT, Z or a zero offset. Undefined for all else: a local time is not a point in time.
 */
export function parseReleaseDate(text: string): Date | undefined {
  const words = text.trim().split(/\s+/)
  if (!weekday.test(words[0] ?? '')) return undefined
  const [first = '', a = '', b = '', c = '', d = '', e] = words
  if (first.length === 4 && first.endsWith(','))
    return e !== undefined && words.length === 6 && isUtc(e)
      ? timeOf({ day: a, month: b, year: c, time: d })
      : undefined
  if (first.length === 3)
    return words.length === 5 ? timeOf({ month: a, day: b, time: c, year: d }) : undefined
  if (first.length < 5 || !first.endsWith(',') || words.length !== 4 || !isUtc(c)) return undefined
  const [day = '', month = '', year = '', ...rest] = a.split('-')
  return rest.length === 0 && /^[0-9]+$/.test(year)
    ? timeOf({ day, month, year: String(1900 + Number(year)), time: b })
    : undefined
}

function isUtc(zone: string): boolean {
  return ['GMT', 'UTC', 'Z'].includes(zone) || /^[+-]?0+$/.test(zone)
}

function timeOf(parts: { day: string; month: string; year: string; time: string }): Date | undefined {
  const month = months.indexOf(parts.month.slice(0, 3).toLowerCase())
  const [, hours, minutes, seconds] = /^([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})/.exec(parts.time) ?? []
  if (month < 0 || hours === undefined || !/^[0-9]{1,2}$/.test(parts.day) || !/^[0-9]{4}$/.test(parts.year))
    return undefined
  const date = new Date(
    Date.UTC(Number(parts.year), month, Number(parts.day), Number(hours), Number(minutes), Number(seconds)),
  )
  const isReal = date.getUTCDate() === Number(parts.day) && date.getUTCHours() === Number(hours)
  return isReal ? date : undefined
}
