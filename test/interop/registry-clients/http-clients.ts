import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { run } from '../../../scripts/lib/run.ts'
import { tool } from './content.ts'
import { type Cell, equal, includes, type Place } from './place.ts'

/** Clients of the HTTP server. */

const userOf = ({ login, loginToPull }: Place) =>
  loginToPull ? `${login.user}:${encodeURIComponent(login.password)}@` : ''
const withUser = (place: Place) => place.http.replace('://', `://${userOf(place)}`)

export const httpCells: Record<string, Cell> = {
  curl: {
    needs: ['curl'],
    async run(place) {
      const [ca, out] = [place.tls ? ['--cacert', place.caFile] : [], join(place.folder, 'tool')]
      await run(['curl', '-fsS', ...ca, '-o', out, `${withUser(place)}/files/get.example/tool.bin`])
      equal((await readFile(out)).equals(tool), true)
    },
  },
  git: {
    needs: ['git'],
    async run(place) {
      const env = { PATH: process.env['PATH'], HOME: place.folder, GIT_TERMINAL_PROMPT: '0' }
      const ca = place.tls ? ['-c', `http.sslCAInfo=${place.caFile}`] : []
      const clone = join(place.folder, 'clone')
      await run(['git', ...ca, 'clone', '-q', `${withUser(place)}/git/charts`, clone], { env })
      equal(await readFile(join(clone, 'values.yaml'), 'utf8'), 'replicas: 1\n')
    },
  },
  pip: {
    needs: ['python3', 'pip3'],
    async run(place) {
      const ca = place.tls ? ['--cert', place.caFile] : ['--trusted-host', new URL(place.http).hostname]
      const index = ['--index-url', `${withUser(place)}/pypi/simple/`]
      const env = { PATH: process.env['PATH'], HOME: place.folder, PIP_CONFIG_FILE: '/dev/null' }
      const args = ['--no-cache-dir', '--no-deps', '-d', place.folder, ...index, ...ca, 'hello==1.0']
      await run(['pip3', '--disable-pip-version-check', 'download', ...args], { env })
      equal((await readFile(join(place.folder, 'hello-1.0-py3-none-any.whl'))).length > 0, true)
    },
  },
  apt: {
    needs: ['apt-get', 'gpgv', 'dpkg-deb'],
    async run(place) {
      for (const path of ['state/lists/partial', 'cache/archives/partial', 'sources', 'auth'])
        await mkdir(join(place.folder, path), { recursive: true })
      const key = join(place.folder, 'site.asc')
      await writeFile(key, await place.clientFile('etc/apt/keyrings/airgap-site.asc'))
      const sources = await place.clientFile('etc/apt/sources.list.d/airgap-debian-12.sources')
      await writeFile(
        join(place.folder, 'sources/site.sources'),
        sources.replace(/^Signed-By: .*$/gm, `Signed-By: ${key}`),
      )
      const { user, password } = place.login
      const machine = place.loginToPull ? `machine ${place.http} login ${user} password ${password}\n` : ''
      await writeFile(join(place.folder, 'auth/site.conf'), machine, { mode: 0o600 })
      const options = [
        `Dir::Etc::SourceList=${place.folder}/none`,
        `Dir::Etc::SourceParts=${place.folder}/sources`,
        `Dir::Etc::NetrcParts=${place.folder}/auth`,
        `Dir::State=${place.folder}/state`,
        'Dir::State::status=/dev/null',
        `Dir::Cache=${place.folder}/cache`,
        'APT::Sandbox::User=root',
        'APT::Architecture=amd64',
        ...(place.tls ? [`Acquire::https::CAInfo=${place.caFile}`] : []),
      ].flatMap(option => ['-o', option])
      await run(['apt-get', ...options, 'update'])
      await run(['apt-get', ...options, 'download', 'hello'], { cwd: place.folder })
      includes(await run(['dpkg-deb', '-f', join(place.folder, 'hello_1.0_all.deb')]), 'Package: hello')
    },
  },
  dnf: {
    needs: ['dnf', 'rpmbuild', 'rpmsign', 'createrepo_c', 'gpg'],
    async run(place) {
      for (const path of ['repos', 'cache', 'log', 'vars', 'root', 'keys'])
        await mkdir(join(place.folder, path), { recursive: true })
      let repo = await place.clientFile('etc/yum.repos.d/airgap-el9.repo')
      for (const [, path] of [...repo.matchAll(/file:\/\/(\/\S+)/g)]) {
        const copy = join(place.folder, 'keys', basename(path!))
        await writeFile(copy, await place.clientFile(path!.slice(1)))
        repo = repo.replaceAll(`file://${path}`, `file://${copy}`)
      }
      const { user, password } = place.login
      const login = place.loginToPull ? `username=${user}\npassword=${password}\n` : ''
      repo = repo
        .replace(/^sslcacert=.*$/gm, `sslcacert=${place.caFile}`)
        .replace(/^baseurl=/gm, `${login}baseurl=`)
      await writeFile(join(place.folder, 'repos/site.repo'), repo)
      const settings = [
        '[main]',
        'gpgcheck=1',
        'repo_gpgcheck=1',
        'plugins=0',
        `reposdir=${place.folder}/repos`,
      ]
      const folders = ['cachedir', 'logdir', 'varsdir'].map(
        name => `${name}=${place.folder}/${name.slice(0, -3)}`,
      )
      await writeFile(
        join(place.folder, 'dnf.conf'),
        `${[...settings, ...folders].join('\n').replace('/var\n', '/vars\n')}\n`,
      )
      const options = [
        '-c',
        join(place.folder, 'dnf.conf'),
        `--installroot=${place.folder}/root`,
        '--releasever=9',
        '-y',
      ]
      await run(['dnf', ...options, 'install', 'hello'])
      equal(await readFile(join(place.folder, 'root/opt/hello/file'), 'utf8'), 'hello\n')
    },
  },
}
