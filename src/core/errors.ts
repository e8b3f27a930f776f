/**
 * The one table of errors: code → exit code of the process and status of the HTTP servers. Every error that the product raises
 * is an AirgapError; a plain Error that reaches the CLI is a bug (exit 1).
 */

const table = {
  // 1: a bug
  INTERNAL: { exit: 1, http: 500 },
  // 2: usage or configuration
  USAGE: { exit: 2, http: 400 },
  FILE_NOT_FOUND: { exit: 2, http: 404 },
  MANIFEST_INVALID: { exit: 2, http: 400 },
  LOCK_INVALID: { exit: 2, http: 400 },
  REFERENCE_INVALID: { exit: 2, http: 400 },
  NAME_COLLISION: { exit: 2, http: 409 },
  VALUES_INVALID: { exit: 2, http: 400 },
  VALUES_CHANGED: { exit: 2, http: 409 },
  KEY_INVALID: { exit: 2, http: 400 },
  JOURNAL_INVALID: { exit: 2, http: 409 },
  SITE_INVALID: { exit: 2, http: 400 },
  PLAN_CHANGED: { exit: 2, http: 409 },
  // 3: differences (only where requested)
  DIFFERENT: { exit: 3, http: 409 },
  // 4: cannot resolve, or the lock is out of date
  NOT_FOUND_UPSTREAM: { exit: 4, http: 404 },
  UNRESOLVABLE: { exit: 4, http: 422 },
  UNSUPPORTED: { exit: 4, http: 422 },
  RENDER_FAILED: { exit: 4, http: 422 },
  INCOMPATIBLE: { exit: 4, http: 422 },
  PLATFORM_MISSING: { exit: 4, http: 422 },
  LOCK_OUT_OF_DATE: { exit: 4, http: 409 },
  // 5: network after retries
  NETWORK: { exit: 5, http: 502 },
  DNS_FAILED: { exit: 5, http: 502 },
  TLS_FAILED: { exit: 5, http: 502 },
  PROXY_FAILED: { exit: 5, http: 502 },
  UPSTREAM: { exit: 5, http: 502 },
  UNAUTHORIZED: { exit: 5, http: 401 },
  REDIRECT_REFUSED: { exit: 5, http: 502 },
  UPSTREAM_INVALID: { exit: 5, http: 502 },
  // 6: a digest or signature is wrong; no flag continues past it
  DIGEST_MISMATCH: { exit: 6, http: 500 },
  SIZE_MISMATCH: { exit: 6, http: 500 },
  SIGNATURE_INVALID: { exit: 6, http: 500 },
  UNTRUSTED: { exit: 6, http: 500 },
  EXPIRED: { exit: 6, http: 500 },
  ROLLBACK: { exit: 6, http: 500 },
  TRUST_INVALID: { exit: 6, http: 500 },
  BUNDLE_CORRUPT: { exit: 6, http: 500 },
  // 7: preflight
  NO_SPACE: { exit: 7, http: 507 },
  PORT_IN_USE: { exit: 7, http: 500 },
  ADDRESS_UNAVAILABLE: { exit: 7, http: 500 },
  PERMISSION: { exit: 7, http: 403 },
  TOOL_MISSING: { exit: 7, http: 500 },
  BUNDLE_UNREADABLE: { exit: 7, http: 500 },
  BUNDLE_VERSION: { exit: 7, http: 400 },
  WRONG_PLATFORM: { exit: 7, http: 400 },
  IO: { exit: 7, http: 500 },
  PREFLIGHT: { exit: 7, http: 500 },
  CLOCK_WRONG: { exit: 7, http: 500 },
  // 8: an install step failed
  STEP_FAILED: { exit: 8, http: 500 },
  // 9: finished with failures
  INCOMPLETE: { exit: 9, http: 500 },
  // 10: another run holds the lock
  BUSY: { exit: 10, http: 409 },
  // the site's servers
  NOT_FOUND: { exit: 2, http: 404 },
  METHOD_NOT_ALLOWED: { exit: 2, http: 405 },
  RANGE_NOT_SATISFIABLE: { exit: 2, http: 416 },
  TOO_MANY_REQUESTS: { exit: 10, http: 429 },
} as const

export type ErrorCode = keyof typeof table

export interface ErrorDetails {
  /** the thing at fault: a reference, a URL (redacted), a path, `file:line:column` */
  item?: string
  /** the likely cause, one sentence */
  likely?: string
  /** what the operator does next, one sentence */
  next?: string
  /** the underlying error */
  cause?: unknown
}

/** An error for the operator: what failed, which item, the likely cause and what to do next. */
export class AirgapError extends Error {
  readonly code: ErrorCode
  /** the message, line by line: other line ends in it come from elsewhere, and are shown escaped */
  readonly lines: readonly string[]
  readonly item?: string
  readonly likely?: string
  readonly next?: string

  /** `what` is one line, or several: what failed, then details, indented by two spaces. */
  constructor(code: ErrorCode, what: string | readonly string[], details: ErrorDetails = {}) {
    const lines = typeof what === 'string' ? [what] : what
    super(lines.join('\n'), details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'AirgapError'
    this.code = code
    this.lines = lines
    if (details.item !== undefined) this.item = details.item
    if (details.likely !== undefined) this.likely = details.likely
    if (details.next !== undefined) this.next = details.next
  }

  get exitCode(): number {
    return table[this.code].exit
  }

  get httpStatus(): number {
    return table[this.code].http
  }

  toJSON(): Record<string, string | number | undefined> {
    return {
      code: this.code,
      exit: this.exitCode,
      message: this.message,
      item: this.item,
      likely: this.likely,
      next: this.next,
    }
  }
}

/** Returns whether a text from another process is one of our codes. */
export function isKnownCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(table, text)
}

export function isErrorCode(error: unknown, ...codes: ErrorCode[]): error is AirgapError {
  return error instanceof AirgapError && codes.includes(error.code)
}

/** Whether upstream lacks or cannot deliver one thing, as opposed to wrong digests, signatures and local errors. */
export function isUpstreamFailure(error: unknown): error is AirgapError {
  return error instanceof AirgapError && (error.exitCode === 4 || error.exitCode === 5)
}

/** Returns the errno of a system error (`ENOENT`, `ENOSPC`, …), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return undefined
}

/** Turns a file-system error into an AirgapError with advice; returns any other error unchanged. */
export function fromSystemError(error: unknown, item: string): unknown {
  if (error instanceof AirgapError) return error
  switch (errnoOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new AirgapError('FILE_NOT_FOUND', 'no such file or folder', {
        item,
        next: 'check the path',
        cause: error,
      })
    case 'EISDIR':
      return new AirgapError('USAGE', 'this is a folder; a file is required', {
        item,
        next: 'pass the path of a file',
        cause: error,
      })
    case 'EACCES':
    case 'EPERM':
      return new AirgapError('PERMISSION', 'permission denied', {
        item,
        next: 'run the command as a user with read and write access to it',
        cause: error,
      })
    case 'EROFS':
      return new AirgapError('PERMISSION', 'the file system is read-only', {
        item,
        next: 'choose an output path on a writable disk',
        cause: error,
      })
    case 'ENOSPC':
    case 'EDQUOT':
      return new AirgapError('NO_SPACE', 'no space left on the disk', {
        item,
        next: `free some space (\`df -h ${item.slice(0, item.lastIndexOf('/')) || '.'}\` shows it), then run the same command again`,
        cause: error,
      })
    case 'EFBIG':
      return new AirgapError('NO_SPACE', 'the file is larger than this file system allows', {
        item,
        likely: 'FAT32 limits files to 4 GiB',
        next: 'use a disk formatted as ext4, XFS or exFAT',
        cause: error,
      })
    case 'EIO':
      return new AirgapError('IO', 'the disk reports a read or write error', {
        item,
        likely: 'the medium was pulled out or is failing',
        next: 'check the cable and the medium (`dmesg`), then copy the bundle again if necessary',
        cause: error,
      })
    case 'EMFILE':
    case 'ENFILE':
      return new AirgapError('IO', 'too many open files', {
        item,
        next: 'raise the limit (`ulimit -n 4096`), or lower -j',
        cause: error,
      })
    default:
      return error
  }
}
