import Negotiator from 'negotiator'

export const languages = ['en', 'ko'] as const
export type Language = (typeof languages)[number]

/** Characters of the header that are read. */
const maxHeader = 500

/** Returns the language that the link names, else the one that suits the browser best (RFC 9110 section 12.5.4), else English. */
export function languageOf(requested: string | null, acceptLanguage: string | undefined): Language {
  const named = languages.find(language => language === requested)
  if (named !== undefined) return named
  const headers = { 'accept-language': (acceptLanguage ?? 'en').slice(0, maxHeader) }
  const best = new Negotiator({ headers }).language([...languages])
  return languages.find(language => language === best) ?? 'en'
}
