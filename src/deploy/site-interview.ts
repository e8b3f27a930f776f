import { AirgapError } from '../core/errors.ts'
import { nodeRoles } from '../inventory/schema.ts'
import { parseSiteFile } from '../inventory/site-file.ts'
import { type SiteAnswers, starterSite } from '../inventory/starter.ts'

/** A person who answers questions. */
export interface Dialogue {
  /** the answer without spaces around it */
  ask(question: string): Promise<string>
  /** a remark between questions */
  show(text: string): void
}

/** Asks for the machines of a site and how they are reached. An answer that is invalid is explained and asked for again. */
export async function interviewSite(known: SiteAnswers, dialogue: Dialogue): Promise<SiteAnswers> {
  const answers = await askMachines(known, dialogue)
  const withUser = await askUntilValid('SSH user on the machines [root]:', {
    answers,
    dialogue,
    take: user => ({ ...answers, ssh: { ...answers.ssh, user } }),
  })
  const withSudo =
    (withUser.ssh?.user ?? 'root') === 'root'
      ? withUser
      : await askUntilValid('Does sudo require a password for that user? [y/N]:', {
          answers: withUser,
          dialogue,
          take: answer =>
            /^y(es)?$/i.test(answer) ? { ...withUser, ssh: { ...withUser.ssh, sudo: 'password' } } : withUser,
        })
  return await askUntilValid('Address at which users reach the platform [none yet]:', {
    answers: withSudo,
    dialogue,
    take: externalIP => ({ ...withSudo, externalIP }),
  })
}

async function askMachines(known: SiteAnswers, { ask, show }: Dialogue): Promise<SiteAnswers> {
  show(
    `Machines, one per line: NAME ADDRESS ROLE,ROLE (${nodeRoles.join(', ')}). An empty line ends the list.`,
  )
  let answers = known
  for (;;) {
    const line = await ask(`machine ${answers.nodes.length + 1}: `)
    const [name, address, roles] = line.split(/\s+/)
    if (line === '' && answers.nodes.length > 0) {
      const wrong = faultOf(withNfsServer(answers))
      if (wrong === undefined) return withNfsServer(answers)
      show(wrong)
      continue
    }
    if (!name || !address || !roles) {
      show('for example: master-1 10.0.0.11 control-plane,worker')
      continue
    }
    const candidate = { ...answers, nodes: [...answers.nodes, { name, address, roles: roles.split(',') }] }
    const wrong = faultsBeforeTheLast(candidate)
    if (wrong.length > 0) show(wrong.join('\n'))
    else {
      answers = candidate
      show(`  ${name} ${address} ${roles}`)
    }
  }
}

/** An empty answer leaves things as they are. */
async function askUntilValid(
  question: string,
  options: { answers: SiteAnswers; dialogue: Dialogue; take: (answer: string) => SiteAnswers },
): Promise<SiteAnswers> {
  const { answers, dialogue, take } = options
  for (;;) {
    const answer = await dialogue.ask(`${question} `)
    const candidate = answer === '' ? answers : take(answer)
    const wrong = faultOf(candidate)
    if (wrong === undefined) return candidate
    dialogue.show(wrong)
  }
}

/** A site with a machine for NFS uses it for its volumes, unless another server was named. */
export function withNfsServer(answers: SiteAnswers): SiteAnswers {
  const server = answers.nodes.find(({ roles }) => roles.includes('nfs'))
  return answers.nfs !== undefined || server === undefined
    ? answers
    : { ...answers, nfs: { server: server.name } }
}

function faultOf(answers: SiteAnswers): string | undefined {
  try {
    parseSiteFile(starterSite(answers), 'site.yaml')
    return undefined
  } catch (error) {
    if (!(error instanceof AirgapError)) throw error
    return error.message
  }
}

/** A control plane and an NFS server may come with a later machine. */
function faultsBeforeTheLast(answers: SiteAnswers): string[] {
  const lines = faultOf(withNfsServer(answers))?.split('\n') ?? []
  return lines.filter(line => !/no node has the role|needs an odd number/.test(line)).slice(1)
}
