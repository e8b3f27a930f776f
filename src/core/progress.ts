/** Progress of long work; the CLI draws it, everything else only reports. All sizes in bytes. */
export interface Progress {
  /** the whole work, as far as known */
  total(items: number, bytes: number): void
  /** bytes done */
  advance(bytes: number): void
  /** one item is finished */
  done(item: string, bytes: number): void
  /** something worth a line: a retry, a wait, a source that was skipped */
  note(message: string): void
}

export const silentProgress: Progress = { total() {}, advance() {}, done() {}, note() {} }
