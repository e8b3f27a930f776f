import { spawn, spawnSync } from 'node:child_process'

/** Runs a program without a shell and gives its stdout; an error carries the end of its stderr. */
export async function run(
  command: string[],
  options: { cwd?: string; env?: Record<string, string>; input?: string } = {},
): Promise<string> {
  const [program, ...args] = command as [string, ...string[]]
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: options.env ?? process.env,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout?.setEncoding('utf8').on('data', chunk => {
      stdout += chunk
    })
    child.stderr?.setEncoding('utf8').on('data', chunk => {
      stderr = (stderr + chunk).slice(-8000)
    })
    child.stdin?.end(options.input)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve(stdout)
      else
        reject(
          new Error(`${command.join(' ')} ended with ${code ?? signal}:\n${stderr || stdout.slice(-4000)}`),
        )
    })
  })
}

/** Whether a program is on PATH (sbin included: that is where ip, iptables and runc are). */
export function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`], { env: withSbin() }).status === 0
}

export function withSbin(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return { ...env, PATH: `${env['PATH'] ?? ''}:/usr/sbin:/sbin` }
}
