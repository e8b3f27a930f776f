import { AirgapError } from '../core/errors.ts'
import { type NodeRole, nodeRoles } from '../inventory/schema.ts'
import { parseSiteFile } from '../inventory/site-file.ts'
import { type SiteAnswers, starterSite } from '../inventory/starter.ts'

/** A dialogue with the person at the terminal. */
export interface Dialogue {
  /** Returns the answer, trimmed. */
  ask(question: string): Promise<string>
  /** Shows a remark between questions. */
  show(text: string): void
}

/** What a question does with an answer: the answers with it, or `back` to the question before. */
type Turn = SiteAnswers | 'back'

interface Question {
  /** for the review: what was asked, and the answer */
  title: string
  shown(answers: SiteAnswers): string
  /** whether there is something to ask */
  applies?(answers: SiteAnswers): boolean
  ask(answers: SiteAnswers, dialogue: Dialogue): Promise<Turn>
}

/** The answers so far are kept after each question, so that nobody types them twice after Ctrl-C. */
export interface Draft {
  save(answers: SiteAnswers): Promise<void>
}

/**
 * Asks for the machines of a site and for SSH access to them, then shows all answers for a review. Explains an invalid answer and
 * repeats the question; `back` returns to the question before.
 */
export async function interviewSite(
  known: SiteAnswers,
  dialogue: Dialogue,
  draft: Draft,
): Promise<SiteAnswers> {
  dialogue.show('Type back to return to the question before. Enter keeps what is in brackets.')
  let answers = known
  for (let at = 0; ; ) {
    const question = questions[at]
    if (question === undefined) {
      const change = await review(answers, dialogue)
      if (change === undefined) return answers
      at = change
      continue
    }
    const turn = question.applies?.(answers) === false ? answers : await question.ask(answers, dialogue)
    if (turn === 'back') at = previous(at, answers)
    else {
      answers = turn
      await draft.save(answers)
      at++
    }
  }
}

function previous(at: number, answers: SiteAnswers): number {
  const before = questions.slice(0, at).findLastIndex(({ applies }) => applies?.(answers) !== false)
  return Math.max(before, 0)
}

/** Returns the number of the question to ask again; undefined where everything is right. */
async function review(answers: SiteAnswers, { ask, show }: Dialogue): Promise<number | undefined> {
  const asked = questions.flatMap((question, at) =>
    question.applies?.(answers) === false ? [] : [{ question, at }],
  )
  show('')
  show('Your answers:')
  const lines = asked.map(({ question }, i) => `  ${i + 1}  ${question.title}: ${question.shown(answers)}`)
  for (const line of lines) show(line)
  for (;;) {
    const answer = await ask('Write site.yaml? [Y/n, or the number of an answer to change]: ')
    if (answer === '' || /^y(es)?$/i.test(answer)) return undefined
    if (/^back$/i.test(answer)) return asked.at(-1)?.at
    const chosen = asked[Number(answer) - 1]
    if (chosen !== undefined) return chosen.at
    if (/^n(o)?$/i.test(answer)) throw notWritten()
    show(`enter y, n or a number from 1 to ${asked.length}`)
  }
}

function notWritten(): AirgapError {
  return new AirgapError('USAGE', 'site.yaml was not written', {
    next: 'run `offline-deploy init` again: it continues with these answers',
  })
}

const questions: readonly Question[] = [
  {
    title: 'machines',
    shown: ({ nodes }) =>
      nodes.map(({ name, address, roles }) => `${name} ${address} ${roles.join(',')}`).join('; '),
    ask: askForMachines,
  },
  {
    title: 'SSH user',
    shown: ({ ssh }) => ssh?.user ?? 'root',
    ask: (answers, dialogue) =>
      askUntilValid(`SSH user on the machines [${answers.ssh?.user ?? 'root'}]:`, {
        answers,
        dialogue,
        applied: user => ({ ...answers, ssh: { ...answers.ssh, user } }),
      }),
  },
  {
    title: 'sudo requires a password',
    shown: ({ ssh }) => (ssh?.sudo === 'password' ? 'yes' : 'no'),
    applies: ({ ssh }) => (ssh?.user ?? 'root') !== 'root',
    ask: (answers, dialogue) =>
      askUntilValid(
        `Does sudo require a password for that user? [${answers.ssh?.sudo === 'password' ? 'Y/n' : 'y/N'}]:`,
        {
          answers,
          dialogue,
          applied: answer => ({
            ...answers,
            ssh: { ...answers.ssh, sudo: /^y(es)?$/i.test(answer) ? 'password' : 'passwordless' },
          }),
        },
      ),
  },
  {
    title: 'address for users',
    shown: ({ externalIP }) => externalIP ?? 'none yet',
    ask: (answers, dialogue) =>
      askUntilValid(`Address at which users reach the platform [${answers.externalIP ?? 'none yet'}]:`, {
        answers,
        dialogue,
        applied: externalIP => ({ ...answers, externalIP }),
      }),
  },
]

/** In plain words, for people who install Kubernetes once a year. */
const roleMeanings: Record<NodeRole, string> = {
  'control-plane': 'manages the cluster; one machine, or three',
  worker: 'runs the platform and its jobs',
  gpu: 'has NVIDIA GPUs; it is also a worker',
  nfs: 'has the disk for shared files; at most one machine',
}

async function askForMachines(known: SiteAnswers, { ask, show }: Dialogue): Promise<Turn> {
  show(
    'Machines, one per line: NAME ADDRESS ROLE,ROLE. An empty line ends the list; back removes the last one.',
  )
  for (const role of nodeRoles) show(`  ${role.padEnd(14)} ${roleMeanings[role]}`)
  for (const { name, address, roles } of known.nodes) show(`  ${name} ${address} ${roles.join(',')}`)
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
    if (/^back$/i.test(line)) {
      if (answers.nodes.length === 0) return 'back'
      show(`  removed ${answers.nodes.at(-1)?.name}`)
      answers = { ...answers, nodes: answers.nodes.slice(0, -1) }
      continue
    }
    if (!name || !address || !roles) {
      show('enter all three, for example: master-1 10.0.0.11 control-plane,worker')
      continue
    }
    const candidate = { ...answers, nodes: [...answers.nodes, { name, address, roles: roles.split(',') }] }
    const mistakes = mistakesSoFar(candidate)
    for (const mistake of mistakes) show(mistake)
    if (mistakes.length === 0) {
      answers = candidate
      show(`  ${name} ${address} ${roles}`)
    }
  }
}

/** Keeps the default if the answer is empty. */
async function askUntilValid(
  question: string,
  options: { answers: SiteAnswers; dialogue: Dialogue; applied: (answer: string) => SiteAnswers },
): Promise<Turn> {
  const { answers, dialogue, applied } = options
  for (;;) {
    const answer = await dialogue.ask(`${question} `)
    if (/^back$/i.test(answer)) return 'back'
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
