import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { evaluate, parseMarker } from '../../../src/kinds/wheel/marker.ts'
import { parseSpecifiers, satisfies } from '../../../src/kinds/wheel/specifier.ts'
import { parseWheelName, rankOf, supportedTags } from '../../../src/kinds/wheel/tags.ts'
import { compareVersions, parseVersion } from '../../../src/kinds/wheel/version.ts'

/** Python's own reading of its standards: the library that pip uses. */
function packaging(program: string, input: unknown): unknown {
  const prelude = [
    'import json, sys',
    'try:',
    '    from packaging import version, specifiers, markers, tags',
    'except ImportError:',
    '    from pip._vendor.packaging import version, specifiers, markers, tags',
    'data = json.load(sys.stdin)',
  ]
  const { status, stdout, stderr } = spawnSync('python3', ['-c', [...prelude, program].join('\n')], {
    input: JSON.stringify(input),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}
const lacking =
  spawnSync('python3', ['-c', 'import pip._vendor.packaging']).status === 0 ? [] : ['python3 with pip']
/** Before 22 it read specifiers of old times, too, and `~=1.post1` and `!=1.0.*` wrongly. */
const isOld =
  lacking.length > 0 || packaging('print(json.dumps(hasattr(specifiers, "LegacySpecifier")))', 0) === true

const number = fc.constantFrom('0', '1', '2', '9', '10', '11', '2023')
const release = fc.array(number, { minLength: 1, maxLength: 4 }).map(parts => parts.join('.'))
const optional = (text: fc.Arbitrary<string>) => fc.oneof({ weight: 2, arbitrary: fc.constant('') }, text)
const versionText = fc
  .tuple(
    optional(fc.constantFrom('1!', '0!')),
    release,
    optional(
      fc
        .tuple(fc.constantFrom('a', 'b', 'rc', '.alpha', '-beta.', 'c', 'preview'), optional(number))
        .map(p => p.join('')),
    ),
    optional(fc.tuple(fc.constantFrom('.post', '-', 'rev', '.r'), number).map(p => p.join(''))),
    optional(fc.tuple(fc.constantFrom('.dev', 'dev', '_dev'), optional(number)).map(p => p.join(''))),
    optional(fc.constantFrom('+abc', '+1.2', '+ubuntu-1', '+1.abc')),
  )
  .map(parts => parts.join(''))
const operator = fc.constantFrom('==', '!=', '<=', '>=', '<', '>', '~=')
const specifierText = fc.tuple(operator, versionText, fc.boolean()).map(([op, version, star]) => {
  // releases of packaging differ in what `<1.post1` and `>1rc1` take
  const { post, pre, dev } = parseVersion(version)!
  if (op === '<' && post !== undefined) return `<=${version}`
  if (op === '>' && (pre !== undefined || dev !== undefined)) return `>=${version}`
  return `${op}${version}${star && (op === '==' || op === '!=') && /^\d+(\.\d+)*$/.test(version) ? '.*' : ''}`
})
const count = Number(process.env['AIRGAP_PAIRS'] ?? 4000)

describe.skipIf(lacking.length > 0)(
  `versions and Python's packaging (needs ${lacking.join() || 'nothing more'})`,
  () => {
    it('are in the same order', () => {
      const pairs = fc.sample(fc.tuple(versionText, versionText), count)
      const order = packaging(
        'v = version.parse\nprint(json.dumps([(v(a) > v(b)) - (v(a) < v(b)) for a, b in data]))',
        pairs,
      ) as number[]
      pairs.forEach(([a, b], i) => {
        const ours = Math.sign(compareVersions(parseVersion(a)!, parseVersion(b)!))
        expect([a, b, ours]).toEqual([a, b, order[i]])
      })
    })

    it.skipIf(isOld)('satisfy the same specifiers, and the same texts are none (needs packaging 22)', () => {
      const pairs = fc.sample(fc.tuple(versionText, specifierText), count)
      const program = [
        'def check(v, s):',
        '    try:',
        '        return specifiers.SpecifierSet(s).contains(version.parse(v), prereleases=True)',
        '    except specifiers.InvalidSpecifier:',
        '        return None',
        'print(json.dumps([check(v, s) for v, s in data]))',
      ].join('\n')
      const results = packaging(program, pairs) as (boolean | null)[]
      pairs.forEach(([text, specifier], i) => {
        const parsed = parseSpecifiers(specifier)
        const ours = parsed === undefined ? null : parsed.every(one => satisfies(parseVersion(text)!, one))
        expect([text, specifier, ours]).toEqual([text, specifier, results[i]])
      })
    })

    it('mean the same in markers', () => {
      const environment = {
        os_name: 'posix',
        sys_platform: 'linux',
        platform_machine: 'x86_64',
        platform_python_implementation: 'CPython',
        platform_release: '',
        platform_system: 'Linux',
        platform_version: '',
        python_version: '3.11',
        python_full_version: '3.11.7',
        implementation_name: 'cpython',
        implementation_version: '3.11.7',
        extra: 'test',
      }
      const comparison = fc.oneof(
        fc
          .tuple(
            fc.constantFrom('python_version', 'python_full_version'),
            fc.constantFrom('<', '<=', '==', '!=', '>=', '>'),
            fc.constantFrom('"3.8"', '"3.11"', '"3.11.4"', "'3.12'"),
          )
          .map(p => p.join(' ')),
        fc.constantFrom(
          'sys_platform == "win32"',
          "sys_platform != 'win32'",
          '"linux" in sys_platform',
          'platform_machine not in "x86_64 aarch64"',
          'extra == "test"',
          'extra == "Te_st"',
          'platform_python_implementation == "PyPy"',
          'os_name == "posix"',
        ),
      )
      const { marker } = fc.letrec<{ marker: string }>(tie => ({
        marker: fc.oneof(
          { maxDepth: 3 },
          comparison,
          fc
            .tuple(tie('marker'), fc.constantFrom('and', 'or'), tie('marker'))
            .map(([a, op, b]) => `(${a}) ${op} ${b}`),
        ),
      }))
      const texts = fc.sample(marker, 1000)
      const results = packaging(
        'print(json.dumps([markers.Marker(m).evaluate(data["environment"]) for m in data["texts"]]))',
        { environment, texts },
      ) as boolean[]
      texts.forEach((text, i) => {
        expect([text, evaluate(parseMarker(text, 'x'), environment)]).toEqual([text, results[i]])
      })
    })

    it.each(['3.8', '3.9', '3.11', '3.12'])('choose wheels by the same tags for Python %s', python => {
      const platform = ['manylinux_2_17_x86_64', 'manylinux2014_x86_64', 'linux_x86_64']
      const program = [
        'v = tuple(int(x) for x in data["python"].split("."))',
        'found = list(tags.cpython_tags(v, abis=["cp%d%d" % v], platforms=data["platform"])) + list(tags.compatible_tags(v, "cp%d%d" % v, data["platform"]))',
        'print(json.dumps([str(t) for t in found]))',
      ].join('\n')
      const theirs = packaging(program, { python, platform }) as string[]
      const ours = [...supportedTags({ python, platform: 'manylinux_2_17_x86_64' }).keys()].filter(
        tag => !/manylinux_2_(?:[5-9]|1[0-6])_|manylinux1_|manylinux2010_/.test(tag),
      )
      expect(ours.filter(tag => theirs.includes(tag))).toEqual(theirs.filter(tag => ours.includes(tag)))
      expect(theirs.filter(tag => !ours.includes(tag))).toEqual([])
    })
  },
)

describe('wheels', () => {
  it('are taken where one of their tags is', () => {
    const supported = supportedTags({ python: '3.11', platform: 'manylinux_2_28_x86_64' })
    const rank = (name: string) => rankOf(parseWheelName(name)!, supported)
    expect(rank('cryptography-41.0.4-cp37-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl')).toBeDefined()
    expect(rank('cryptography-41.0.4-cp37-abi3-manylinux_2_34_x86_64.whl')).toBeUndefined()
    expect(rank('x-1-cp312-cp312-manylinux_2_17_x86_64.whl')).toBeUndefined()
    expect(rank('x-1-py2.py3-none-any.whl')).toBeDefined()
    expect(rank('x-1-cp37-abi3-musllinux_1_1_x86_64.whl')).toBeUndefined()
    expect(parseWheelName('x-1-2abc-py3-none-any.whl')?.build).toBe('2abc')
    for (const name of ['x.whl', 'x-1-py3-none.whl', 'a-b-c-d-e-f-g.whl', 'x-1.tar.gz'])
      expect(parseWheelName(name)).toBeUndefined()
  })

  it('end for any name (property)', () => {
    fc.assert(fc.property(fc.string(), text => void parseWheelName(`${text}.whl`)))
    expect(parseVersion('1'.repeat(100_000))).toBeUndefined()
    const long = `1${'.1'.repeat(90)}!x`
    expect(parseVersion(long)).toBeUndefined()
  })
})
