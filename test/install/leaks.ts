/** Secrets as programs write them down, and a reader who decodes what can be decoded. */

/** How programs write a secret down, each on its own. */
export const forms: Record<string, (secret: string) => string> = {
  'as it is': secret => secret,
  'in JSON': secret => JSON.stringify({ msg: secret }),
  'JSON in JSON': secret => JSON.stringify({ msg: JSON.stringify({ stdout: `x ${secret} y` }) }),
  'JSON of Go': secret =>
    JSON.stringify(secret).replace(/[<>&]/g, one => `\\u00${one.charCodeAt(0).toString(16)}`),
  'JSON of PHP': secret => JSON.stringify(secret).replaceAll('/', '\\/'),
  'in a URL': secret => `https://example.org/a?b=${encodeURIComponent(secret)}`,
  'of a form': secret => new URLSearchParams({ pw: secret }).toString(),
  'a URL in lower case': secret =>
    encodeURIComponent(secret).replace(/%[0-9A-F]{2}/g, one => one.toLowerCase()),
  'every byte of a URL': secret => Buffer.from(secret).toString('hex').replace(/../g, '%$&'),
  'a URL in a URL': secret => encodeURIComponent(encodeURIComponent(secret)),
  'as the user of a URL': secret => `postgres://admin:${encodeURIComponent(secret)}@10.0.0.9:5432/db`,
  base64: secret => Buffer.from(secret).toString('base64'),
  'base64 after one letter': secret => Buffer.from(`u${secret}`).toString('base64'),
  'base64 of user and password': secret => Buffer.from(`ad:${secret}\n`).toString('base64'),
  'base64 for URLs': secret => Buffer.from(`x:${secret}`).toString('base64url'),
  'base64 of base64': secret =>
    Buffer.from(`{"auth":"${Buffer.from(`admin:${secret}`).toString('base64')}"}`).toString('base64'),
  'base64 of JSON, wrapped': secret =>
    Buffer.from(JSON.stringify({ a: 'x'.repeat(40), password: secret, b: 'y'.repeat(40) }))
      .toString('base64')
      .replace(/.{19}/g, '$&\n'),
  hexadecimal: secret => Buffer.from(secret).toString('hex'),
  'in HTML': secret =>
    secret.replace(
      /[&<>"']/g,
      one => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;' })[one] ?? '&#x27;',
    ),
  'quoted for a shell': secret => `'${secret.replaceAll("'", `'\\''`)}'`,
  'quoted for YAML': secret => `'${secret.replaceAll("'", "''")}'`,
}

/** How a text tells one of the secrets to whoever decodes it. Decodes on its own, not as the product does. */
export function leaks(text: string, ...secrets: string[]): string | undefined {
  const found = new Set<string>()
  const look = (part: string, depth: number, how: string): void => {
    for (const secret of secrets) if (part.includes(secret)) found.add(`${secret}: ${how}`)
    if (depth === 0) return
    const json = part.replace(/\\u([0-9a-fA-F]{4})/g, (_, unit) =>
      String.fromCharCode(Number.parseInt(unit, 16)),
    )
    const decoded = [
      [json.replace(/\\(.)/g, '$1'), 'JSON'],
      [json.replace(/\\+(.)/g, '$1'), 'JSON in JSON'],
      [
        part.replace(/(?:%[0-9a-fA-F]{2})+/g, run => Buffer.from(run.replaceAll('%', ''), 'hex').toString()),
        'URL',
      ],
      [part.replaceAll('+', ' '), 'form'],
      [part.replaceAll("''", "'"), 'YAML'],
      [part.replaceAll(`'\\''`, "'"), 'shell'],
      [
        part
          .replace(/&#x([0-9a-f]+);/g, (_, code) => String.fromCharCode(Number.parseInt(code, 16)))
          .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
          .replaceAll('&lt;', '<')
          .replaceAll('&gt;', '>')
          .replaceAll('&amp;', '&'),
        'HTML',
      ],
    ] as const
    for (const [other, name] of decoded) if (other !== part) look(other, depth - 1, `${how}, ${name}`)
    for (const words of [part, part.replace(/\s+/g, '')])
      for (const [word] of words.matchAll(/[A-Za-z0-9+/_-]{8,}/g)) {
        for (const from of [0, 1, 2, 3])
          look(Buffer.from(word.slice(from), 'base64').toString(), depth - 1, `${how}, base64`)
        if (/^[0-9a-f]+$/i.test(word))
          look(Buffer.from(word, 'hex').toString(), depth - 1, `${how}, hexadecimal`)
      }
  }
  look(text, 2, 'as it is')
  return [...found][0]
}
