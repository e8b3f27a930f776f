import { describe, expect, it } from 'vitest'
import { parseOsRelease } from '../../src/probe/os-release.ts'
import { repositoryFor, repositoryNames } from '../../src/probe/repository-name.ts'

/** os-release as these systems ship it. */
const releases = {
  ubuntu: `PRETTY_NAME="Ubuntu 22.04.4 LTS"
NAME="Ubuntu"
VERSION_ID="22.04"
VERSION="22.04.4 LTS (Jammy Jellyfish)"
VERSION_CODENAME=jammy
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME=jammy`,
  debian: `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian`,
  testing: `PRETTY_NAME="Debian GNU/Linux forky/sid"
NAME="Debian GNU/Linux"
VERSION_CODENAME=forky
ID=debian`,
  rocky: `NAME="Rocky Linux"
VERSION="9.4 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.4"
PLATFORM_ID="platform:el9"`,
  rhel: `NAME="Red Hat Enterprise Linux"
ID="rhel"
ID_LIKE="fedora"
VERSION_ID="8.10"
PLATFORM_ID="platform:el8"`,
  alma: `ID="almalinux"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.3"
PLATFORM_ID="platform:el9"`,
  oracle: `ID="ol"
ID_LIKE="fedora"
VARIANT_ID="server"
VERSION_ID="9.3"
PLATFORM_ID="platform:el9"`,
  centos7: `ID="centos"
ID_LIKE="rhel fedora"
VERSION_ID="7"`,
  fedora: `ID=fedora
VERSION_ID=40
PLATFORM_ID="platform:f40"`,
  amazon: `ID="amzn"
ID_LIKE="fedora"
VERSION_ID="2023"
PLATFORM_ID="platform:al2023"`,
  openEuler: `NAME="openEuler"
VERSION="22.03 (LTS-SP3)"
ID="openEuler"
VERSION_ID="22.03"
PRETTY_NAME="openEuler 22.03 (LTS-SP3)"
ANSI_COLOR="0;31"`,
  kylin: `NAME="Kylin Linux Advanced Server"
ID='kylin'
VERSION_ID="V10"`,
}

describe('repositoryNames', () => {
  it.each<[keyof typeof releases, string[]]>([
    ['ubuntu', ['ubuntu-22.04', 'ubuntu-22', 'ubuntu-jammy']],
    ['debian', ['debian-12', 'debian-bookworm']],
    ['testing', ['debian-forky']],
    ['rocky', ['rocky-9.4', 'rocky-9', 'el9']],
    ['rhel', ['rhel-8.10', 'rhel-8', 'el8']],
    ['alma', ['almalinux-9.3', 'almalinux-9', 'el9']],
    ['oracle', ['ol-9.3', 'ol-9', 'el9']],
    ['centos7', ['centos-7', 'el7']],
    ['fedora', ['fedora-40']],
    ['amazon', ['amzn-2023']],
    ['openEuler', ['openeuler-22.03', 'openeuler-22']],
    ['kylin', ['kylin-V10']],
  ])('of %s, best first', (system, names) => {
    expect(repositoryNames(parseOsRelease(releases[system])!)).toEqual(names)
  })
})

describe('repositoryFor', () => {
  it('returns the most exact available name, never that of another system', () => {
    const rocky = parseOsRelease(releases.rocky)!
    expect(repositoryFor(rocky, ['el9', 'rocky-9', 'rocky-9.4'])).toBe('rocky-9.4')
    expect(repositoryFor(rocky, ['el9', 'rocky-9', 'rocky-9.2'])).toBe('rocky-9')
    expect(repositoryFor(rocky, ['el9', 'el8', 'debian-9'])).toBe('el9')
    expect(repositoryFor(rocky, ['el8', 'almalinux-9', 'rocky-9.2', 'tools'])).toBeUndefined()
    expect(
      repositoryFor(parseOsRelease(releases.openEuler)!, ['el9', 'el22', 'ubuntu-22.03']),
    ).toBeUndefined()
    expect(repositoryFor({ id: 'unknown' }, ['unknown-1'])).toBeUndefined()
  })
})

describe('parseOsRelease', () => {
  it('reads values in double, single or no quotes, and skips other lines', () => {
    expect(
      parseOsRelease(`# a comment\n\nID='x'\nVERSION_ID=1\nPRETTY_NAME="X 1"\nexport A=b\nID_LIKE= \n`),
    ).toEqual({
      id: 'x',
      version: '1',
      name: 'X 1',
    })
  })

  it.each(['', 'NAME=x', 'ID=', 'ID=""', 'binary \0\u0001'])('returns undefined for %j', text => {
    expect(parseOsRelease(text)).toBeUndefined()
  })
})
