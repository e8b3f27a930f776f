import { AirgapError } from '../core/errors.ts'
import { nodeRoles } from '../inventory/schema.ts'
import { parseSiteFile } from '../inventory/site-file.ts'
import { type SiteAnswers, starterSite } from '../inventory/starter.ts'

/** A dialogue with the person at the terminal. */
export interface Dialogue {
  /** Returns the answer, trimmed. */
  ask(question: string): Promise<string>
  /** Shows a remark between questions. */
  show(text: string): void
}

/** Asks for the machines of a site and for SSH access to them. Explains an invalid answer and repeats the question. */
export async function interviewSite(known: SiteAnswers, dialogue: Dialogue): Promise<SiteAnswers> {
  const answers = await runModule(known, dialogue)
  const withUser = await askUntilValid('SSH user on the machines [root]:', {
    answers,
    dialogue,
    applied: user => ({ ...answers, ssh: { ...answers.ssh, user } }),
  })
  const withSudo =
    (withUser.ssh?.user ?? 'root') === 'root'
      ? withUser
      : await askUntilValid('Does sudo require a password for that user? [y/N]:', {
          answers: withUser,
          dialogue,
          applied: answer =>
            /^y(es)?$/i.test(answer) ? { ...withUser, ssh: { ...withUser.ssh, sudo: 'password' } } : withUser,
        })
  return await askUntilValid('Address at which users reach the platform [none yet]:', {
    answers: withSudo,
    dialogue,
    applied: externalIP => ({ ...withSudo, externalIP }),
  })
}

async function runModule(known: SiteAnswers, { ask, show }: Dialogue): Promise<SiteAnswers> {
  show(
    `Machines, one per line: NAME ADDRESS ROLE,ROLE (${nodeRoles.join(', ')}). An empty line ends the list.`,
  )
  let answers = known
  for (;;) {
    const line = await ask(`machine ${answers.nodes.length + 1}: `)
    const [name, address, roles] = line.split(/\s+/)
    if (line === '' && answers.nodes.length > 0) {
      const mistake = mistakesIn(withNfsServer(answers))
      if (mistake === undefined) return withNfsServer(answers)
      show(mistake)
      continue
    }
    if (!name || !address || !roles) {
      show('enter all three, for example: master-1 10.0.0.11 control-plane,worker')
      continue
    }
    const candidate = { ...answers, nodes: [...answers.nodes, { name, address, roles: roles.split(',') }] }
    const mistakes = mistakesSoFar(candidate)
    if (mistakes.length > 0) show(mistakes.join('\n'))
    else {
      answers = candidate
      show(`  ${name} ${address} ${roles}`)
    }
  }
}

/** Keeps the default if the answer is empty. */
async function askUntilValid(
  question: string,
  options: { answers: SiteAnswers; dialogue: Dialogue; applied: (answer: string) => SiteAnswers },
): Promise<SiteAnswers> {
  const { answers, dialogue, applied } = options
  for (;;) {
    const answer = await dialogue.ask(`${question} `)
    const candidate = answer === '' ? answers : applied(answer)
    const mistakes = mistakesIn(candidate)
    if (mistakes === undefined) return candidate
    dialogue.show(mistakes)
  }
}

/** Uses the machine with the role nfs as the NFS server, unless another server is set. */
export function withNfsServer(answers: SiteAnswers): SiteAnswers {
  const server = answers.nodes.find(({ roles }) => roles.includes('nfs'))
  return answers.nfs !== undefined || server === undefined
    ? answers
    : { ...answers, nfs: { server: server.name } }
}

/** Returns the message of the schema, one mistake per line; undefined for valid answers. */
function mistakesIn(answers: SiteAnswers): string | undefined {
  try {
    parseSiteFile(starterSite(answers), 'site.yaml')
    return undefined
  } catch (error) {
    if (!(error instanceof AirgapError)) throw error
    return error.message
  }
}

/** Omits mistakes that another machine can still resolve: a missing role, an even number of control-plane nodes. */
function mistakesSoFar(answers: SiteAnswers): string[] {
  const lines = mistakesIn(withNfsServer(answers))?.split('\n') ?? []
  return lines.filter(line => !/no node has the role|needs an odd number/.test(line)).slice(1)
}
