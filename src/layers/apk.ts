import { defined } from '../core/defined.ts'
import { cleanText, type InstalledPackage } from './package.ts'

/** Reads apk's database of installed packages (apk-tools, `doc/apk-v2.5.scd`): fields of one letter, a blank line between packages. */
export function readApk(bytes: Buffer, path: string): InstalledPackage[] {
  const packages: InstalledPackage[] = []
  let fields = new Map<string, string>()
  const end = () => {
    const [name, version] = [cleanText(fields.get('P')), cleanText(fields.get('V'))]
    if (name !== undefined && version !== undefined) {
      const origin = cleanText(fields.get('o'))
      packages.push(
        defined({
          type: 'apk' as const,
          name,
          version,
          architecture: cleanText(fields.get('A')),
          source: origin === undefined ? undefined : { name: origin },
          license: cleanText(fields.get('L')),
          path,
        }),
      )
    }
    fields = new Map()
  }
  for (const line of bytes.toString('utf8').split('\n')) {
    if (line === '') end()
    else if (line[1] === ':' && 'PVAoL'.includes(line[0]!)) fields.set(line[0]!, line.slice(2))
  }
  end()
  return packages
}
