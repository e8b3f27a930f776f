import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { strToU8, zipSync } from 'fflate'
import { describe, expect, it } from 'vitest'
import { hasTool } from '../bundle/has-tool.ts'
import { contentOf, dpkgStatus, namesIn, statusPath } from './support.ts'

const file = async (path: string, text: string | Buffer) => await contentOf([{ path, text }])

describe('databases of distributions', () => {
  it('dpkg: without what is removed or only configured, in the state of its journal', async () => {
    const status = `${dpkgStatus('bash', 'gone', 'old')}
Package: conf
Status: deinstall ok config-files
Version: 1
Architecture: amd64

Package: libc6
Status: install ok installed
Source: glibc (2.36-9)
Version: 2.36-9+b1
Architecture: amd64
Multi-Arch: same
Description: text
 Package: not-a-field
`
    const updates = [
      'Package: gone\nStatus: deinstall ok not-installed\nArchitecture: amd64\n',
      'Package: old\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.0\n',
    ]
    const content = await contentOf([
      { path: statusPath, text: status },
      ...updates.map((text, i) => ({ path: `var/lib/dpkg/updates/000${i}`, text })),
    ])
    expect(namesIn(content)).toEqual(['bash 1.0-1', 'libc6 2.36-9+b1', 'old 2.0'])
    expect(content.packages[1]!.source).toEqual({ name: 'glibc', version: '2.36-9' })
  })

  it('dpkg: one file for each package where there is no dpkg', async () => {
    const content = await contentOf([
      {
        path: 'var/lib/dpkg/status.d/base',
        text: 'Package: base-files\nVersion: 12.4\nArchitecture: amd64\n',
      },
      { path: 'var/lib/dpkg/status.d/base.md5sums', text: 'd41d8cd98f00b204e9800998ecf8427e  etc/x\n' },
    ])
    expect(namesIn(content)).toEqual(['base-files 12.4'])
    expect(content.notRead).toEqual([])
  })

  it('apk: with origin and licence', async () => {
    const text =
      'C:Q1x\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\n\nP:libcrypto3\nV:3.1.4-r5\nA:x86_64\no:openssl\nF:lib\nR:libcrypto.so.3\n'
    const { packages } = await file('lib/apk/db/installed', text)
    expect(packages).toMatchObject([
      { name: 'libcrypto3', version: '3.1.4-r5', source: { name: 'openssl' } },
      { name: 'musl', version: '1.2.4-r2', license: 'MIT', architecture: 'x86_64' },
    ])
  })

  it('says which distribution it is', async () => {
    const { os } = await contentOf([
      {
        path: 'usr/lib/os-release',
        text: 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
      },
      { path: 'etc/os-release', type: 'SymbolicLink', linkpath: '../usr/lib/os-release' },
    ])
    expect(os).toEqual({ id: 'debian', version: '12', prettyName: 'Debian GNU/Linux 12 (bookworm)' })
  })
})

describe('packages of programming languages', () => {
  it('Python: METADATA and PKG-INFO, up to the text', async () => {
    const text = 'Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\nLicense: Apache-2.0\n\nName: text\n'
    const content = await contentOf([
      { path: 'usr/lib/python3/site-packages/requests-2.31.0.dist-info/METADATA', text },
      {
        path: 'usr/lib/python3/dist-packages/six-1.16.0.egg-info',
        text: 'Name: six\nVersion: 1.16.0\nLicense: UNKNOWN\n',
      },
    ])
    expect(content.packages).toMatchObject([
      { type: 'pypi', name: 'requests', license: 'Apache-2.0' },
      { type: 'pypi', name: 'six', version: '1.16.0' },
    ])
    expect(content.packages[1]).not.toHaveProperty('license')
  })

  it('Node.js: packages in node_modules, and no other package.json', async () => {
    const content = await contentOf([
      { path: 'app/package.json', text: '{"name":"app","version":"1.0.0"}' },
      {
        path: 'app/node_modules/@scope/lib/package.json',
        text: '{"name":"@scope/lib","version":"1.2.3","license":"MIT"}',
      },
      { path: 'app/node_modules/x/test/package.json', text: '{"name":"fixture","version":"0.0.0"}' },
      { path: 'app/node_modules/y/package.json', text: '{"type":"module"}' },
      {
        path: 'app/node_modules/y/package-lock.json',
        text: '{"packages":{"node_modules/dev":{"version":"1"}}}',
      },
    ])
    expect(namesIn(content)).toEqual(['@scope/lib 1.2.3'])
  })

  it('lock files', async () => {
    const locks = {
      'a/package-lock.json':
        '{"lockfileVersion":3,"packages":{"":{"name":"a"},"node_modules/n3":{"version":"3.0.0"},"w":{"version":"1"}}}',
      'b/package-lock.json': '{"lockfileVersion":1,"dependencies":{"n1":{"version":"1.0.0"}}}',
      'c/Cargo.lock': '[[package]]\nname = "serde"\nversion = "1.0.1"\n',
      'd/poetry.lock': '[[package]]\nname = "flask"\nversion = "3.0.0"\n',
      'e/Pipfile.lock': '{"default":{"django":{"version":"==5.0"}}}',
      'f/Gemfile.lock': 'GEM\n  specs:\n    rails (7.1.0)\n      actioncable (= 7.1.0)\n',
      'g/vendor/composer/installed.json':
        '{"packages":[{"name":"monolog/monolog","version":"3.5.0","license":["MIT"]}]}',
      'h/app.deps.json':
        '{"libraries":{"Newtonsoft.Json/13.0.3":{"type":"package"},"app/1.0.0":{"type":"project"}}}',
      'i/specifications/rack-3.0.8.gemspec': '',
    }
    const content = await contentOf(Object.entries(locks).map(([path, text]) => ({ path, text })))
    expect(content.notRead).toEqual([])
    expect(namesIn(content)).toEqual([
      'serde 1.0.1',
      'monolog/monolog 3.5.0',
      'rack 3.0.8',
      'rails 7.1.0',
      'n1 1.0.0',
      'n3 3.0.0',
      'Newtonsoft.Json 13.0.3',
      'django 5.0',
      'flask 3.0.0',
    ])
  })

  it('Java: what Maven wrote, the manifest, the name of the file, and archives inside', async () => {
    const pom = {
      'META-INF/maven/org.example/core/pom.properties': strToU8(
        'groupId=org.example\nartifactId=core\nversion=1.2\n',
      ),
    }
    const plain = {
      'META-INF/MANIFEST.MF': strToU8('Manifest-Version: 1.0\r\nImplementation-Version: 4.5\r\n'),
    }
    const fat = zipSync({
      ...plain,
      'BOOT-INF/lib/core-1.2.jar': zipSync(pom),
      'BOOT-INF/lib/other-2.0.1.jar': zipSync({ x: strToU8('') }),
    })
    const content = await file('app/server.jar', Buffer.from(fat))
    expect(namesIn(content)).toEqual(['org.example:core 1.2', 'other 2.0.1', 'server 4.5'])
  })

  it.skipIf(!hasTool('go'))('Go: the modules of a program (needs go)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'airgap-go-'))
    try {
      writeFileSync(
        join(folder, 'go.mod'),
        'module example.org/tool\n\ngo 1.20\n\nrequire example.org/lib v1.2.3\n\nreplace example.org/lib => ./lib\n',
      )
      writeFileSync(
        join(folder, 'main.go'),
        'package main\n\nimport "example.org/lib"\n\nfunc main() { println(lib.X) }\n',
      )
      execFileSync('mkdir', [join(folder, 'lib')])
      writeFileSync(join(folder, 'lib/go.mod'), 'module example.org/lib\n\ngo 1.20\n')
      writeFileSync(join(folder, 'lib/lib.go'), 'package lib\n\nconst X = 1\n')
      execFileSync('go', ['build', '-o', 'tool', '.'], {
        cwd: folder,
        env: { ...process.env, GOFLAGS: '-mod=mod -buildvcs=false', GOTOOLCHAIN: 'local' },
      })
      const text = readFileSync(join(folder, 'tool'))
      const { packages } = await contentOf([{ path: 'usr/bin/tool', text, mode: 0o755 }])
      const version = /go(\S+)/.exec(
        execFileSync('go', ['version'], { encoding: 'utf8' }).split(' ')[2]!,
      )?.[1]
      expect(packages.map(({ name }) => name)).toEqual(['./lib', 'example.org/tool', 'stdlib'])
      expect(packages.at(-1)).toMatchObject({ type: 'golang', version })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
