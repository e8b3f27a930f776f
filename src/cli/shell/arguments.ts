/** Parser of an option that may be repeated. */
export function repeated(text: string, before: string[]): string[] {
  return [...before, text]
}
