import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hasTool } from '../../bundle/has-tool.ts'

const module = join(import.meta.dirname, '../../../src/cli/shell/confirm.ts')

/** What a declined question advises on a terminal, where `lines` are typed. */
function advice(options: object, lines: string): string {
  const program = `import { confirm } from '${module}'; await confirm(${JSON.stringify(options)}, new AbortController().signal).catch(error => console.log(error.next))`
  const command = `${process.execPath} --input-type=module -e ${JSON.stringify(program).replaceAll('$', String.raw`\$`)}`
  return spawnSync('script', ['-qec', command, '/dev/null'], { input: lines, encoding: 'utf8' }).stdout
}

describe.skipIf(!hasTool('script'))('a question that is declined (needs script)', () => {
  it('advises the options that answer it', () => {
    const environment = { name: 'prod' }
    expect(advice({ what: 'stop it', yes: false }, 'n\n')).toContain('or pass --yes')
    expect(advice({ what: 'remove it', yes: false, environment }, 'y\ntest\n')).toContain(
      'or pass --yes --confirm prod',
    )
  })
})
