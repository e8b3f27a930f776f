import type { Digest } from '../../core/digest.ts'
import type { LockDifference } from '../../kinds/lock-changes.ts'
import type { ImageContent } from '../../layers/installed.ts'
import type { Lock } from '../../lock/schema.ts'
import type { ScanResult } from '../../scan/finding.ts'
import type { PublicKey } from '../../signature/public-key.ts'
import type { Statement } from '../../signature/statement.ts'
import type { SignatureReport } from '../../signature/verify.ts'

/** All that the report shows. What the caller did not ask for, or what is not there, is absent, and the page says so. */
export interface ReportData {
  /** name of the file */
  file: string
  /** index digest of the bundle */
  digest: Digest
  /** of the whole file, bytes */
  size: number
  lock: Lock
  /** signatures next to the bundle; absent: none */
  signed?: {
    statement: Statement
    report: SignatureReport
    /** keys that the caller passed */
    keys: readonly PublicKey[]
    isExpired: boolean
    /** how many of the keys signed the provenance; absent: none, or not checked */
    provenance?: number
  }
  /** absent: layers were not read */
  images?: readonly ImageContent[]
  previous?: { name: string; version: string; difference: LockDifference }
  scan?: ScanResult
  /** when the report was made, and by which version of the program */
  made: Date
  toolVersion: string
}
