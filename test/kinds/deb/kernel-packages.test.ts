import { describe, expect, it } from 'vitest'
import { kernelFinder } from '../../../src/kinds/deb/kernel-packages.ts'
import { Universe } from '../../../src/kinds/deb/universe.ts'
import { chooseKernelPackages } from '../../../src/kinds/package-entry.ts'
import { listOf } from './support/world.ts'

const names = [
  'linux-headers-5.15.0-91-generic',
  'linux-headers-6.8.0-1010-nvidia',
  'linux-modules-nvidia-535-5.15.0-91-generic',
]
const universe = new Universe([listOf(names.map(name => ({ name })))], { architecture: 'amd64' })
const choose = (...kernels: string[]) =>
  chooseKernelPackages(
    {
      packages: [],
      kernelPackages: ['linux-headers-{kernel}', 'linux-modules-nvidia-535-{kernel}', 'dkms'],
      kernels,
      at: 'stack.yaml:5:5',
    },
    kernelFinder(universe, 'stack.yaml:5:5'),
  )

describe('packages for the kernels of a site', () => {
  it('are those that exist, at least one for each kernel; the others are left out by name', () => {
    const { packages, leftOut } = choose('5.15.0-91-generic', '6.8.0-1010-nvidia')
    expect(packages.sort()).toEqual([...names].sort())
    expect(leftOut.map(({ name }) => name)).toEqual(['linux-modules-nvidia-535-6.8.0-1010-nvidia'])
  })

  it('name the kernel that has none', () => {
    expect(() => choose('5.15.0-91-generic', '5.15.0-25-lowlatency')).toThrow(
      'no package of kernelPackages fits the kernel 5.15.0-25-lowlatency',
    )
  })
})
