/**
 * Decides by its name alone whether a value is likely to be a secret. Every text that leaves the site or reaches a terminal
 * (differences, conflicts, plans, the support bundle, notes) relies on this one function.
 *
 * It errs towards "secret": a value masked without need costs a reader one line, a value shown costs the site its password.
 * Three kinds of names are exempt, because operators need their values and these cannot be secrets themselves:
 * names of Kubernetes Secrets (`secretName`, `existingSecret`, `secretKeyRef`), public keys and certificates of CAs, and properties of a
 * secret (`passwordLength`, `tokenTtl`, `authMode`). `kubeconfig`, `keyFile` and the like count as secret: in a chart's values they
 * may hold the content of the file.
 */
export function isSecretName(name: string): boolean {
  const words = wordsOf(name)
  const joined = words.join('')
  if (koreanSecret.test(joined)) return true
  if (words.length === 0 || namesASecret(words) || isPublic(joined) || namesACa(words)) return false
  const stems = joined.replace(harmlessStems, '')
  return (
    secretStems.test(stems) ||
    isSlackUrl(stems) ||
    words.some((word, at) => isSecretWord(word, { at, words }))
  )
}

/**
 * True where some name in a line of text (`--set auth.password=x`, `{token: x}`, `# the password of root`) is a secret's.
 * For lines that are shown or masked as a whole.
 */
export function mentionsSecret(line: string): boolean {
  return line.split(/[^\p{L}\p{N}._-]+/u).some(isSecretName)
}

/** Distinctive enough to count wherever they appear, also in names without word boundaries (`MYDBPASSWORD`). */
const secretStems =
  /passw|passphrase|passcode|pswd|secret|token|credential|kubeconfig|dockerconfig|dockercfg|cookie|authorization|connectionstring|sharedaccess|snmpcommunity|hookurl|keytab|recoverycode|seedphrase|mnemonic|serviceaccountjson|sessionid|netrc|id(?:rsa|dsa|ecdsa|ed25519)$/

/** Contain a stem, but mean something else. */
const harmlessStems =
  /passwordless|(?:de)?tokeni[sz](?:ers?|ations?|ed?|ing)|tokenomics|(?:max|min|num|total|input|output|prompt)(?:imum|ber|new)?(?:of)?tokens|secretar(?:y|ies|iat)|authorizationmode/g

/** Words that make any name secret, whatever precedes or follows. */
const secretWords = new Set(
  'pass pwd pw psk otp totp hotp jwt bearer auth auths cred creds key keys hmac dsn keystore'.split(' '),
)

/** Words that make a name secret only where they are the last: `tlsCert`, `private`, but not `certManager`, `privateRegistry`. */
const secretLastWords = new Set(
  'authentication cert certs certificate certificates private pem pfx p12 jks salt pat'.split(' '),
)

/** English words and products that end like a secret. */
const harmlessEndings =
  /(?:monkey|donkey|turkey|whiskey|hockey|jockey|lackey|valkey|hotkey|bypass|compass|overpass|underpass|trespass|surpass)s?$/

/** Last words that say that a value is about a secret, not the secret. */
const aboutASecret = new Set(
  (
    'name names ref refs reference namespace selector enabled disabled required length size bits count limit ttl expiry expires ' +
    'expiration lifetime duration timeout interval rotation age type kind mode method algorithm format policy rule ' +
    'provider backend store stores manager operator controller driver engine class plugin issuer audience realm ' +
    'url uri endpoint host port server service domain path paths dir directory folder mount sock socket usage usages ' +
    'prefix suffix strength min max replicas image repository tag version labels annotations resources user username email'
  ).split(' '),
)

/** Words before `key` with which Kubernetes and charts name a key of a map, which is not a secret. */
const keyOfAMap = new Set(
  'topology label labels annotation taint toleration partition sort foreign map configmap selector'.split(
    ' ',
  ),
)

/** What follows the verb `pass`: `passThrough`, `passHostHeader`, `passRate`. */
const passedOn = new Set(
  'through thru by host access rate fail failed on over all context along args env'.split(' '),
)

/** Says how a secret is written down or which one it is, and leaves the name secret: `keyData`, `tokenBase64`, `password_2`. */
const forms = new Set(
  'value data base64 b64 raw text string content contents encoded old new current'.split(' '),
)

const koreanSecret = /비밀번호|비밀키|비번|암호(?!화)|패스워드|토큰|인증키|개인키/

/** `AWSSecretKey_2` → aws, secret, key. Digits at the end of a word only number it (but `p12`, `b64`, `base64`). */
function wordsOf(name: string): string[] {
  return name
    .slice(-maxName)
    .normalize('NFKC')
    .replace(/(\p{Ll}|\p{N})(?=\p{Lu})/gu, '$1 ')
    .replace(/(\p{Lu})(?=\p{Lu}\p{Ll})/gu, '$1 ')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .map(word => (/^(?:p12|b64|base64|ed25519)$/.test(word) ? word : word.replace(/(?<=\D)\d+$/, '')))
    .filter(word => word !== '' && !/^\d+$/.test(word))
}

/** Longer text is not a name; of a long path of keys, the end matters most. */
const maxName = 1_000

function namesASecret(words: readonly string[]): boolean {
  const last = words.findLast(word => !forms.has(word)) ?? ''
  const joined = words.join('')
  if (aboutASecret.has(last))
    return !/(?:hookurl|sessionid)$/.test(joined) && !(isSlackUrl(joined) && joined.endsWith('url'))
  if (/(?:imagepullsecrets?|(?:secret|key|token)(?:names?|refs?))$/.test(joined)) return true
  // one place after another, not by one pattern: two loops in it take cubic time on a name that repeats the words (CWE-1333)
  const existing = joined.indexOf('existing')
  if (existing < 0) return false
  const rest = joined.slice(existing + 'existing'.length)
  return /secrets?$/.test(rest) || (/(?:keys?|names?|refs?)$/.test(rest) && rest.includes('secret'))
}

function isSlackUrl(joined: string): boolean {
  const slack = joined.indexOf('slack')
  return slack >= 0 && joined.includes('url', slack + 5)
}

function isPublic(joined: string): boolean {
  return /(?:public|pub)keys?(?:data|value|base64|b64)?$|authorizedkeys$|pub$/.test(joined)
}

/** `caCertificate`: what everybody must know to trust the others; the key of a CA has another name. */
function namesACa(words: readonly string[]): boolean {
  const [before, last] = words.slice(-2)
  if (words.length === 1) return /^cacert(?:ificate)?s?$/.test(words[0]!)
  return before === 'ca' && /^cert(?:ificate)?s?$/.test(last!)
}

function isSecretWord(word: string, { at, words }: { at: number; words: readonly string[] }): boolean {
  const before = words[at - 1] ?? ''
  const after = words[at + 1] ?? ''
  if (word === 'pass' && passedOn.has(after)) return false
  if (/^keys?$/.test(word) && (keyOfAMap.has(before) || (after === 'id' && before === ''))) return false
  if (secretWords.has(word)) return true
  const isLast = words.slice(at + 1).every(other => forms.has(other))
  if (isLast && secretLastWords.has(word)) return true
  return !harmlessEndings.test(word) && /(?:keys?|pass|pwd|pw|creds|auths?)$/.test(word) && word.length >= 4
}
