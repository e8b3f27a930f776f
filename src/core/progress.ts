/** Reports the progress of long work; only the CLI displays it. All sizes are in bytes. */
export interface Progress {
  /** a stage begins: `Resolving`; its total follows */
  phase(title: string): void
  /** the total, as far as it is known */
  total(items: number, bytes: number): void
  /** more bytes are done */
  advance(bytes: number): void
  /** work on an item begins; call what it returns when that work ends, whatever its result */
  running(item: string): () => void
  /** one item is finished */
  done(item: string, bytes: number): void
  /** an event worth one line: a retry, a wait, a source that was skipped */
  note(message: string): void
}

export const silentProgress: Progress = {
  phase() {},
  total() {},
  advance() {},
  running: () => () => {},
  done() {},
  note() {},
}
