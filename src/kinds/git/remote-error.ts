import { AirgapError } from '../../core/errors.ts'
import { GitError } from './run-git.ts'
import { shownUrl } from './url.ts'

/** What git's messages mean (git 2.18 to 2.50, with LC_ALL=C), in the words of the other network errors. */
const meanings: readonly {
  pattern: RegExp
  code: ConstructorParameters<typeof AirgapError>[0]
  what: string
  likely: string
  next: string
}[] = [
  {
    pattern:
      /authentication failed|could not read (?:username|password)|terminal prompts disabled|permission denied \(|returned error: 40[13]|access denied|http basic: access denied/i,
    code: 'UNAUTHORIZED',
    what: 'the git server refused access',
    likely: 'git has no credentials for this address, they are wrong, or they do not allow reading',
    next: 'check with `git ls-remote URL` as the same user: store credentials with a credential helper (gitcredentials(7)), or add the key to the ssh agent',
  },
  {
    pattern: /host key verification failed|remote host identification has changed/i,
    code: 'UNAUTHORIZED',
    what: 'the host key of the ssh server is not trusted',
    likely: 'this user has never connected to the server, or the server has another key now',
    next: 'compare the key with the one that the server announces, then add it to known_hosts (ssh-keyscan(1))',
  },
  {
    pattern: /could not resolve host|name or service not known|temporary failure in name resolution/i,
    code: 'DNS_FAILED',
    what: 'the host of the repository does not exist in DNS',
    likely: 'a typing error in the name, or this machine has no DNS server that knows it',
    next: 'check the name; behind a proxy set HTTPS_PROXY; remap the source where only a mirror can be reached',
  },
  {
    pattern: /ssl certificate problem|certificate verify|server certificate|unable to get local issuer/i,
    code: 'TLS_FAILED',
    what: 'the certificate of the git server cannot be verified',
    likely: 'a company authority that this machine does not know, or an expired certificate',
    next: 'add the authority to the system, or set http.sslCAInfo in the git configuration',
  },
  {
    pattern:
      /repository (?:.* )?not found|does not appear to be a git repository|does not exist|returned error: 404|not found: did you run git update-server-info|no such file or directory/i,
    code: 'NOT_FOUND_UPSTREAM',
    what: 'there is no git repository at this address',
    likely:
      'a typing error, a repository that was moved or deleted, or one that needs credentials to be seen',
    next: 'check with `git ls-remote URL`; several hosts report a private repository as missing',
  },
  {
    pattern: /transport '.*' not allowed|protocol '.*' is not supported|unable to find remote helper/i,
    code: 'REDIRECT_REFUSED',
    what: 'the repository leads to a protocol that is not allowed',
    likely: 'the server redirects, or url.*.insteadOf of the git configuration rewrites the address',
    next: 'use the address that it leads to, if you trust it',
  },
  {
    pattern: /fsck error|error in (?:commit|tree|blob|tag)|object corrupt|bad tree|badTree|fatal: fsck/i,
    code: 'UPSTREAM_INVALID',
    what: 'the repository contains objects that git refuses',
    likely: 'a malicious repository, or an old history with mistakes that git once allowed',
    next: 'where only the history is affected, use `history: shallow`; otherwise do not use this repository',
  },
  {
    pattern: /shallow update not allowed|source repository is shallow/i,
    code: 'UNSUPPORTED',
    what: 'the repository at this address is shallow: it does not have the whole history',
    likely: 'a mirror, or a clone of the latest commit alone',
    next: 'use `history: shallow`, or the address of a complete repository',
  },
  {
    pattern: /no space left on device/i,
    code: 'NO_SPACE',
    what: 'the disk of the cache is full',
    likely: 'the repository is larger than the free space',
    next: 'free some space, or name another folder with --cache',
  },
]

/** Returns a failure of git as an error about the address; other errors pass unchanged. */
export function remoteError(error: unknown, url: string): unknown {
  if (!(error instanceof GitError)) return error
  const item = shownUrl(url)
  const text = withoutSecrets(error.stderr)
  const meaning = meanings.find(({ pattern }) => pattern.test(error.stderr))
  if (meaning !== undefined) {
    const { code, what, likely, next } = meaning
    return new AirgapError(code, what, {
      item,
      likely: `${likely} (git: ${text})`,
      next: next.replace('URL', item),
    })
  }
  return new AirgapError('NETWORK', 'git could not fetch from the repository', {
    item,
    likely: text,
    next: `run the same command again; check with \`git ls-remote ${item}\``,
  })
}

/** The last lines of what git said: on one line, printable, without credentials that an address may contain. */
function withoutSecrets(text: string): string {
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .slice(-3)
    .join('; ')
    .replace(/:\/\/[^\s/@']*@/g, '://')
    .replace(/[?][^\s']*/g, '?…')
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd')
    .slice(0, 400)
}
