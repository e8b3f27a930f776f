import { z } from 'zod'
import { printableLine } from '../../core/printable.ts'
import type { SiteNode } from '../../inventory/schema.ts'
import { refusal, runScript, type SshAccess } from '../preflight/ssh.ts'
import { captureScript } from './capture-script.ts'

/** Nothing that a machine prints is trusted: texts are made printable. */
const text = z.string().transform(value => printableLine(value, 300))

const attemptSchema = z.object({
  protocol: z.enum(['tcp', 'udp', 'icmp']),
  /** address of the machine, or of a pod on it */
  source: text,
  destination: text,
  /** of the destination; 0 for icmp */
  port: z.number().int().nonnegative(),
  /** null: it had ended before it was looked for */
  process: text.nullable(),
  podUid: text.nullable(),
  /** the name that a DNS query asked for */
  query: text.nullable(),
  packets: z.number().int().positive(),
})
export type EgressAttempt = z.infer<typeof attemptSchema>

const answerSchema = z.object({ attempts: z.array(attemptSchema).max(10_000), full: z.boolean() })

export type Captured =
  | { attempts: EgressAttempt[] /** more happened than could be listed */; full: boolean }
  /** why the machine was not watched, and what to do */
  | { failed: { what: string; next: string } }

/** A machine that many programs try to leave lists 5000 attempts, each with the name of a DNS query. */
const maxOutput = 16 << 20 /* bytes */

/** Watches one machine for `seconds`. `inside`: networks that belong to the site, besides those that the machine is connected to. */
export async function captureEgress(
  node: SiteNode,
  access: SshAccess,
  { seconds, inside, signal }: { seconds: number; inside: readonly string[]; signal: AbortSignal },
): Promise<Captured> {
  const words = [String(seconds), ...inside]
  const ran = await runScript(node, access, {
    script: options => shellScript(words, options),
    extraMs: seconds * 1000,
    maxOutput,
    signal,
  })
  const line = ran.stdout.split('\n').findLast(one => one.startsWith('{"attempts":'))
  const answer = line === undefined ? undefined : answerSchema.safeParse(parsed(line))
  return answer?.success ? answer.data : { failed: refusal(ran, { node, access }) }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** `words` are numbers and networks: nothing that a shell would interpret. */
function shellScript(words: readonly string[], { sudoPassword }: { sudoPassword: boolean }): string {
  const sudo = sudoPassword ? "sudo -S -p ''" : 'sudo -n'
  return `capture=$(cat <<'END-OF-CAPTURE'
${captureScript}
END-OF-CAPTURE
)
if [ "$(id -u)" = 0 ]; then sudo=; else sudo="${sudo}"; fi
eval "$sudo python3 -c \\"\\$capture\\" ${words.join(' ')}"
`
}
