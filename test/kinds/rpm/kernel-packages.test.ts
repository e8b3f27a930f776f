import { describe, expect, it } from 'vitest'
import type { AirgapError } from '../../../src/core/errors.ts'
import { chooseKernelPackages } from '../../../src/kinds/package-entry.ts'
import { kernelFinder, kernelsOf } from '../../../src/kinds/rpm/kernel-packages.ts'
import { listOf } from '../../../src/kinds/rpm/package-list.ts'
import { makeUniverse } from '../../../src/kinds/rpm/universe.ts'
import { candidate, type Described } from './candidates.ts'

const plain = '5.14.0-427.el9.x86_64'
const uek = '5.15.0-200.131.27.el9uek.x86_64'

/** The development packages of a distribution, with or without what they state about their kernel. */
function repository(stating: boolean) {
  const uname = (kernel: string): Described =>
    stating ? { provides: [`kernel-devel-uname-r = ${kernel}`] } : {}
  return [
    candidate(`kernel-devel-${plain}`, uname(plain)),
    candidate(`kernel-headers-${plain}`),
    candidate(`kernel-rt-devel-${plain}`, uname(`${plain}+rt`)),
    candidate(`kernel-rt-debug-devel-${plain}`, uname(`${plain}+rt-debug`)),
    candidate(`kernel-debug-devel-${plain}`, uname(`${plain}+debug`)),
    candidate(`kernel-uek-devel-${uek}`, uname(uek)),
  ]
}

function choose(kernels: string[], kernelPackages: string[], stating = true) {
  const universe = makeUniverse([listOf(repository(stating))], {
    architecture: 'x86_64',
    priorities: [],
    installed: [],
  })
  const { packages, leftOut } = chooseKernelPackages(
    { packages: [], kernelPackages, kernels, at: 'stack.yaml:5:5' },
    kernelFinder(universe),
  )
  return { packages: packages.sort(), leftOut: leftOut.map(({ name }) => name).sort() }
}

describe.each([
  ['that state their kernel', true],
  ['that have only their names', false],
])('packages %s', (_, stating) => {
  it('are chosen for each kernel of a mixed site by the pattern that fits it', () => {
    const patterns = ['kernel-devel-{kernel}', 'kernel-uek-devel-{kernel}']
    expect(choose([plain, uek], patterns, stating)).toEqual({
      packages: [`kernel-devel-${plain}`, `kernel-uek-devel-${uek}`],
      leftOut: [`kernel-devel-${uek}`, `kernel-uek-devel-${plain}`],
    })
  })

  it.each([
    [`${plain}+rt`, `kernel-rt-devel-${plain}`],
    [`${plain}+debug`, `kernel-debug-devel-${plain}`],
    [`${plain}+rt-debug`, `kernel-rt-debug-devel-${plain}`],
  ])('have the name of the variant, without its suffix: %s', (kernel, expected) => {
    expect(choose([kernel], ['kernel-devel-{kernel}'], stating).packages).toEqual([expected])
    const named = expected.replace(plain, '{kernel}')
    expect(choose([kernel], [named], stating).packages).toEqual([expected])
  })

  it('are all taken where several patterns fit', () => {
    expect(choose([plain], ['kernel-devel-{kernel}', 'kernel-headers-{kernel}'], stating).packages).toEqual([
      `kernel-devel-${plain}`,
      `kernel-headers-${plain}`,
    ])
  })

  it('name the kernel that no pattern fits', () => {
    const missing = '5.14.0-70.el9.x86_64'
    expect(() => choose([plain, uek, missing], ['kernel-devel-{kernel}'], stating)).toThrow(
      expect.objectContaining({
        code: 'UNRESOLVABLE',
        message: `no package of kernelPackages fits the kernels ${uek}, ${missing}`,
        likely: `the patterns are kernel-devel-{kernel}; available: kernel-uek-devel-${uek}`,
        item: 'stack.yaml:5:5',
      } satisfies Partial<AirgapError>),
    )
  })
})

describe('a package that states another kernel', () => {
  it('does not fit, although its name does', () => {
    expect(choose([plain], ['kernel-devel-{kernel}', 'kernel-rt-devel-{kernel}'])).toEqual({
      packages: [`kernel-devel-${plain}`],
      leftOut: [`kernel-rt-devel-${plain}`],
    })
  })

  it('is found by what it states', () => {
    const pattern = 'kernel-devel-uname-r == {kernel}'
    expect(choose([`${plain}+rt`, uek], [pattern]).packages).toEqual([
      `kernel-devel-uname-r == ${plain}+rt`,
      `kernel-devel-uname-r == ${uek}`,
    ])
  })
})

describe('kernels of several architectures', () => {
  it('count for their own', () => {
    const kernels = [plain, '5.14.0-427.el9.aarch64+64k', '6.1-custom']
    const architectures = ['x86_64', 'aarch64']
    expect(kernelsOf(kernels, { architecture: 'x86_64', architectures })).toEqual([plain, '6.1-custom'])
    expect(kernelsOf(kernels, { architecture: 'aarch64', architectures })).toEqual(kernels.slice(1))
  })
})
