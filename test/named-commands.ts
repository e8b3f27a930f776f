import type { Command } from 'commander'
import { allCommands, findCommand, flagsOf, type ProgramName, programNames } from './programs.ts'

export type Programs = Readonly<Record<ProgramName, Command>>

/**
 * Command lines of our programs in a text that do not exist, such as `offline-deploy forget` or `airgap build --since`. In code, a
 * program's name is followed by a command; in prose, it may be followed by any word.
 */
export function wrongInvocations(
  text: string,
  { programs, code }: { programs: Programs; code: boolean },
): string[] {
  const wrong: string[] = []
  const invocation =
    /(\brun |[\w/]*\/)?(?<![\w.-])(airgap|offline-deploy) +([a-z][a-z-]*)((?: +[^\s`'"|;#]+)*)/g
  for (const [, before, name, first, rest = ''] of text.matchAll(invocation)) {
    const line = (flag = '') => `${name} ${first} ${flag}`.trim()
    let command = findCommand(programs[name as ProgramName], [first!])
    if (command === undefined) {
      if (code || before !== undefined) wrong.push(line())
      continue
    }
    for (const word of rest.split(/ +/)) {
      command = findCommand(command, [word]) ?? command
      const flag = /^(--[a-z][a-z-]*|-[A-Za-z])(?=$|=|[^\w-])/.exec(word)?.[1]
      if (flag !== undefined && !flagsOf(command).includes(flag)) wrong.push(line(flag))
    }
  }
  return wrong
}

/** Code spans and code blocks of a Markdown text, blocks line by line. */
export function codeOf(markdown: string): string[] {
  const blocks = [...markdown.matchAll(/^```[^\n]*\n(.*?)^```/gms)].flatMap(([, block]) => block!.split('\n'))
  const prose = markdown.replaceAll(/^```.*?^```/gms, '')
  return [...blocks, ...[...prose.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span!)]
}

/** All flags of both programs. */
export function allFlags(programs: Programs): Set<string> {
  return new Set(programNames.flatMap(name => allCommands(programs[name]).flatMap(flagsOf)))
}

/** The comments and the strings of a TypeScript source. A regular expression with a quote in it may be taken for a string. */
export function textsOf(source: string): { comments: string[]; strings: string[] } {
  const comments: string[] = []
  const strings: string[] = []
  const pattern = /(\/\/[^\n]*|\/\*.*?\*\/)|'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/gs
  for (const [, comment, single, double, template] of source.matchAll(pattern)) {
    if (comment !== undefined) comments.push(comment)
    else strings.push((single ?? double ?? template ?? '').replaceAll('\\`', '`'))
  }
  return { comments, strings }
}

/** Other programs whose flags our texts name. */
const others =
  /\b(apt-get|createrepo|ctr|curl|dnf|docker|dpkg|git|gpg|helm|helmfile|ip|kubectl|mkdir|npm|oras|pip|podman|python3?|rpm|scripts\/setup|skopeo|ss|systemctl|tar|useradd|uv)\b/
/** An option of pip's requirement files. */
const foreign = new Set(['--hash'])

/** Flags in messages (strings with words in them) that no command of ours has. */
export function wrongFlagsInMessages(strings: readonly string[], flags: ReadonlySet<string>): string[] {
  return strings
    .filter(text => /[a-z]{2} [a-z-]/.test(text))
    .flatMap(text =>
      [...text.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)]
        .filter(({ index }) => !others.test(text.slice(0, index)))
        .map(([flag]) => flag),
    )
    .filter(flag => !flags.has(flag) && !foreign.has(flag))
}
