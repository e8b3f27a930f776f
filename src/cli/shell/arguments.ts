/** Parses an option that can be repeated: collects its values. */
export function repeated(text: string, before: string[]): string[] {
  return [...before, text]
}
