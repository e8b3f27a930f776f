import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

/** The same commits on every run: fixed names and dates, and no configuration but this. */
const environment = {
  PATH: process.env['PATH'],
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_AUTHOR_DATE: '2026-01-02T03:04:05Z',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.com',
  GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z',
}

/** Runs git; returns its output without the last line break. */
export function git(folder: string, args: readonly string[], input?: string | Buffer): string {
  const output = execFileSync('git', ['-c', 'protocol.file.allow=always', '-C', folder, ...args], {
    env: environment,
    input: input ?? '',
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
    maxBuffer: 64 << 20,
  })
  return output.replace(/\n$/, '')
}

export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'airgap-git-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A repository of a publisher: work in `folder`, served as `bare`. */
export interface TestRepository {
  folder: string
  bare: string
  /** file:///…, of the bare repository */
  url: string
  /** Writes files (undefined: removes; `→ target`: a link), commits and pushes them; returns the commit. */
  commit(files: Record<string, string | Buffer | undefined>, message?: string): string
  git(...args: string[]): string
  push(...refs: string[]): void
}

export function repository(options: { name?: string; root?: string; branch?: string } = {}): TestRepository {
  const { name = 'upstream', root = temporary(), branch = 'main' } = options
  const folder = join(root, `${name}.work`)
  const bare = join(root, `${name}.git`)
  mkdirSync(folder, { recursive: true })
  mkdirSync(bare, { recursive: true })
  git(folder, ['init', '--quiet', `--initial-branch=${branch}`])
  git(bare, ['init', '--quiet', '--bare', `--initial-branch=${branch}`])
  const push = (...refs: string[]) => void git(folder, ['push', '--quiet', '--force', bare, ...refs])
  return {
    folder,
    bare,
    url: `file://${bare}`,
    push,
    git: (...args) => git(folder, args),
    commit(files, message = 'a commit') {
      for (const [path, content] of Object.entries(files)) {
        const file = join(folder, path)
        mkdirSync(dirname(file), { recursive: true })
        if (content === undefined) rmSync(file)
        else if (typeof content === 'string' && content.startsWith('→ ')) symlinkSync(content.slice(2), file)
        else writeFileSync(file, content)
      }
      git(folder, ['add', '--all'])
      git(folder, ['commit', '--quiet', '--allow-empty', '-m', message])
      push(branch)
      return git(folder, ['rev-parse', 'HEAD'])
    },
  }
}
