import { hasSecretUrl } from '../core/redact.ts'
import { isSecretName } from '../core/secret-names.ts'

/**
 * Files that look like secrets: a bundle is copied, kept and handed on, and everyone who has it can read them. Judged by name and by the
 * start of the content; what sops, ansible-vault, age or git-crypt encrypted is not a secret. It errs towards "secret": the person may
 * declare a file, and cannot take one back that travelled.
 */

/** Says what a file looks like; undefined where it does not look like a secret. `start` is the start of its content. */
export function secretIn(path: string, start: Buffer): string | undefined {
  if (start.length === 0 || isEncrypted(start)) return undefined
  const name = (path.split('/').at(-1) ?? '').toLowerCase()
  const text = start.toString('latin1')
  return byContent(text) ?? byName({ path, name, text })
}

function isEncrypted(start: Buffer): boolean {
  const text = start.subarray(0, 64).toString('latin1')
  return (
    /^\s*(?:\$ANSIBLE_VAULT;|age-encryption\.org\/|-----BEGIN (?:AGE ENCRYPTED FILE|PGP MESSAGE)-----|\0GITCRYPT\0)/.test(
      text,
    ) || isSops(start.toString('latin1'))
  )
}

/** sops adds its own key to YAML and JSON, and variables to dotenv and INI files; every value is `ENC[…]`. */
function isSops(text: string): boolean {
  return (
    /\bENC\[AES256_GCM,/.test(text) &&
    /(?:^sops:|^sops_mac=|^\[sops\]|[{,]\s*"sops"\s*:)/m.test(text) &&
    !privateKey.test(text)
  )
}

/** With the base64 that follows: documentation often has the first line alone. */
const privateKey =
  /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[rn]|["'+,]|[A-Za-z-]+: [^\n]{0,200}\n){1,20}[A-Za-z0-9+/=]{40}/

function byContent(text: string): string | undefined {
  if (privateKey.test(text)) return 'a private key'
  if (/\bAGE-SECRET-KEY-1[A-Z0-9]{20}/.test(text)) return 'a private key of age'
  if (/^PuTTY-User-Key-File-\d/.test(text)) return 'a private key of PuTTY'
  if (
    /(?:^|[\s,{])["']?kind["']?\s*:\s*["']?Config\b/m.test(text) &&
    hasValue(text, 'client-key-data|token|password')
  )
    return 'a kubeconfig with credentials'
  if (isKubernetesSecret(text)) return 'a Secret of Kubernetes with its values'
  if (/"auths"\s*:/.test(text) && hasValue(text, 'auth|identitytoken|password'))
    return 'logins for registries'
  if (/^[ \t]*aws_secret_access_key[ \t]*=[ \t]*[A-Za-z0-9+/]{16}/m.test(text)) return 'credentials for AWS'
  if (/\/\/[^\s/]+\/:_(?:authToken|password)\s*=\s*[^\s$]/.test(text)) return 'a token for npm'
  return undefined
}

/** Whether one of the keys has a value that is written out, in YAML or JSON. */
function hasValue(text: string, keys: string): boolean {
  const pattern = new RegExp(
    String.raw`(?:^|[\s,{])["']?(?:${keys})["']?\s*:[ \t]*(["']?[^\s,}"']{2}[^\n]{0,400})`,
    'gm',
  )
  return [...text.matchAll(pattern)].some(([, value = '']) => isWrittenOut(value))
}

const names: [RegExp, string][] = [
  [/^(?:\.netrc|_netrc|\.pgpass|\.my\.cnf|\.git-credentials|\.pypirc|\.s3cfg|\.boto)$/, 'a file of logins'],
  [/^id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?$/, 'a private key of ssh'],
  [/\.(?:p12|pfx|jks|keystore|kdbx|ppk|jceks)$/, 'a store of keys'],
  [/^\.?htpasswd$/, 'passwords of users'],
  [
    /^\.?(?:[a-z0-9]+[._-])*(?:vault|become)[._-]?pass(?:word|wd|phrase)?s?(?:[._-](?!ya?ml$|json$|py$|sh$|md$)[a-z0-9]+)*$/,
    'a password of ansible',
  ],
  [/^\.?(?:password|passwd|passphrase|token|secret)s?(?:\.txt)?$/, 'a password'],
  [/\.tfstate(?:\.backup)?$/, 'a state of terraform, which has passwords in plain text'],
]

/** Examples and templates are written to be published. */
const published = /(?:^|[._-])(?:example|sample|template|tmpl|tpl|dist|schema|gotmpl|j2)(?:[._-]|$)/

function byName({ path, name, text }: { path: string; name: string; text: string }): string | undefined {
  if (published.test(name)) return undefined
  const named = names.find(([pattern]) => pattern.test(name))
  if (named !== undefined) return isWrittenOut(text.trim()) ? named[1] : undefined
  if (/^\.env(?:\.[a-z0-9-]+)*$/.test(name) && assignments(text).some(({ value }) => isWrittenOut(value)))
    return 'an environment file'
  if (name.endsWith('.env') && assignments(text).some(isSecretAssignment))
    return 'an environment file with passwords'
  if (
    /^(?:.*[._-])?kubeconfig(?:\.ya?ml)?$|^(?:super-)?admin\.conf$/.test(name) &&
    /["']?clusters["']?\s*:/.test(text)
  )
    return 'a kubeconfig'
  const isSecrets =
    /^\.?(?:[a-z0-9-]+[._-])?(?:secrets?|credentials?|passwords?|vault)\.(?:ya?ml|json|toml|ini|env|properties)$/.test(
      name,
    )
  // manifests of a chart: their values are inserted
  if (
    isSecrets &&
    !/(?:^|\/)templates\//.test(path) &&
    assignments(text).some(({ value }) => isWrittenOut(value))
  )
    return 'a file of secrets'
  // secrets.prod.yaml, but also secret-reader.yaml
  if (
    /^\.?secrets?[._-][a-z0-9-][a-z0-9._-]*\.(?:ya?ml|json)$/.test(name) &&
    assignments(text).some(isSecretAssignment)
  )
    return 'a file of secrets'
  return isPasswordAlone(name, text) ? 'a password' : undefined
}

/** `db_password`, `api-token.txt`: a name without an extension, and one line. */
function isPasswordAlone(name: string, text: string): boolean {
  const [, stem] = /^([a-z0-9_-]+)(?:\.txt)?$/.exec(name) ?? []
  if (stem === undefined || !isSecretName(stem) || text.length > 4096 || text.startsWith('#!')) return false
  return /^\S+\s*$/.test(text) && isWrittenOut(text.trim())
}

/** A Secret whose values are in the file; those of a template are inserted, those of a SealedSecret encrypted. */
function isKubernetesSecret(text: string): boolean {
  return text.split(/^---.*$/m).some(document => {
    if (!/^kind:[ \t]*["']?Secret["']?[ \t]*(?:#.*)?\r?$/m.test(document)) return false
    const [, values = ''] =
      /^(?:data|stringData):[ \t]*\r?\n((?:[ \t][^\n]*(?:\n|$)|\n)*)/m.exec(document) ?? []
    return assignments(values).some(({ value }) => isWrittenOut(value) && !value.includes('{{'))
  })
}

interface Assignment {
  key: string
  value: string
}

/** `key: value`, `key = value` and `"key": "value"`, a line each. */
function assignments(text: string): Assignment[] {
  return [
    ...text.matchAll(/^[ \t]*(?:- |export )?["']?([\w.-]{1,100})["']?[ \t]*[:=][ \t]*(\S[^\n]{0,1000})/gm),
  ].flatMap(([, key = '', value = '']) => (ofEveryManifest.test(key) ? [] : [{ key, value }]))
}

const ofEveryManifest = /^(?:apiVersion|kind|name|namespace|type|metadata|version)$/

function isSecretAssignment({ key, value }: Assignment): boolean {
  return (isSecretName(key) && isWrittenOut(value)) || hasSecretUrl(value)
}

/** Not empty, not a comment, not a reference to a place that has the value, and not a placeholder. */
function isWrittenOut(value: string): boolean {
  const plain = withoutComment(value.slice(0, 1000)).trim()
  if (/^(?:|[|>][+-]?|null|~|true|false|\[\]|\{\}|[[{]|-)$/i.test(plain)) return false
  if (
    /^(?:#|\{\{|\$[{(A-Z_]|%[a-z{(]|<[^>]*>$|ref\+|!(?:vault|env)\b|[&*]\w+$|vault:|op:\/\/|awssm)/i.test(
      plain,
    )
  )
    return false
  return !/^(?:change[-_ ]?(?:me|it)|replace[-_ ]?me|x{3,}|\*{3,}|\.{3}|todo|tbd|your[-_ ].*|placeholder|example)$/i.test(
    plain,
  )
}

/** The text in quotes, or the text before ` #`. */
function withoutComment(value: string): string {
  const quote = value[0]
  const end = quote === '"' || quote === "'" ? value.indexOf(quote, 1) : -1
  if (end > 0) return value.slice(1, end)
  const comment = value.search(/[ \t]#/)
  return comment < 0 ? value : value.slice(0, comment)
}
