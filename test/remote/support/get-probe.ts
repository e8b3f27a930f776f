/** Run as a process of its own: GETs the URL, trusting the CA file too, and prints the body or the error's code. */
import { AirgapError } from '../../../src/core/errors.ts'
import { createHttpClient } from '../../../src/remote/http-client.ts'

export type GetProbeArguments = [url: string, caFile: string]

const [url = '', caFile = ''] = process.argv.slice(2)
const http = createHttpClient({ env: {}, caFile, retry: { attempts: 1 } })
try {
  process.stdout.write((await http.get(url, { maxBytes: 1000 })).bytes)
} catch (error) {
  process.stdout.write(error instanceof AirgapError ? error.code : String(error))
}
await http.close()
