import { repositoryFor } from '../../probe/repository-name.ts'
import { type DiskName, diskPaths, releaseOf } from './facts.ts'
import {
  error,
  type Fault,
  GiB,
  isControlPlane,
  MiB,
  runsPods,
  type Subject,
  sizeText,
  warning,
} from './subject.ts'

export function processors(subject: Subject): Fault[] {
  const { cpus } = subject.facts
  if (cpus === undefined || cpus >= 2 || !isControlPlane(subject) || !subject.expected.kubernetes) return []
  return [
    error(
      `${cpus} CPU; kubeadm requires at least 2 on a control-plane node`,
      'add CPUs, or give the machine another role in site.yaml',
    ),
  ]
}

export function memory(subject: Subject): Fault[] {
  const { memory } = subject.facts
  if (memory === undefined) return []
  const control = isControlPlane(subject) && subject.expected.kubernetes
  const least = control ? 1700 * MiB : GiB
  const has = `${Math.floor(memory / MiB)} MiB of memory`
  if (memory < least)
    return [
      error(
        `${has}; ${control ? 'kubeadm requires 1700 MiB on a control-plane node' : 'a node needs at least 1 GiB'}`,
        control ? 'add memory (8 GiB recommended)' : 'add memory',
      ),
    ]
  // a machine sold with 8 GiB reports less: the kernel reserves some
  if (!control || memory >= 7.5 * GiB) return []
  return [
    warning(
      `${has}; 8 GiB are recommended for a control-plane node with all applications`,
      'add memory; below that, expect evictions',
    ),
  ]
}

/** Every disk need of the machine, added up for each file system: two paths may share one. */
export function disks(subject: Subject): Fault[] {
  const byDevice = Map.groupBy(
    needsOf(subject).filter(({ disk }) => subject.facts.disks[disk] !== undefined),
    ({ disk }) => subject.facts.disks[disk]!.device,
  )
  return [...byDevice.values()].flatMap(needs => {
    const { free } = subject.facts.disks[needs[0]!.disk]!
    const sum = (of: 'least' | 'good') => needs.reduce((total, need) => total + need[of], 0)
    if (free >= sum('good')) return []
    const paths = [...new Set(needs.map(({ disk }) => diskPaths[disk]))].join(', ')
    const parts = needs.filter(({ good }) => good > 0).map(({ why, good }) => `${why} ${sizeText(good)}`)
    const what = `${sizeText(free)} free for ${paths}; ${sizeText(sum('good'))} needed (${parts.join(', ')})`
    const next = 'free some space, or mount a larger disk there before the install'
    return [free < sum('least') ? error(what, next) : warning(what, next)]
  })
}

interface Need {
  disk: DiskName
  /** bytes; with less the install fails */
  least: number
  /** bytes; with less it may fail */
  good: number
  why: string
}

function needsOf(subject: Subject): Need[] {
  const { expected, facts } = subject
  const { imageBytes, fileBytes } = expected
  // what is installed already takes its space
  if (facts.running.includes('kubelet'))
    return [{ disk: 'containerd', least: 0, good: 5 * GiB, why: 'new images' }]
  const packages = packageBytesOf(subject)
  const needs: Need[] = [
    { disk: 'root', least: packages, good: 2 * packages, why: 'packages, unpacked' },
    { disk: 'var', least: packages, good: packages, why: 'packages, downloaded' },
  ]
  if (expected.kubernetes && runsPods(subject))
    needs.push({ disk: 'root', least: fileBytes, good: fileBytes, why: 'files of Kubernetes' })
  if (runsPods(subject) && imageBytes > 0) {
    // compressed once and unpacked at twice the size; only a single machine is certain to pull all of them
    const good = 3 * imageBytes
    const least = expected.podMachines <= 1 ? good : imageBytes
    needs.push({ disk: 'containerd', least, good, why: 'images' })
  }
  if (expected.kubernetes && isControlPlane(subject))
    needs.push({ disk: 'etcd', least: 512 * MiB, good: 2 * GiB, why: 'etcd' })
  return needs
}

function packageBytesOf({ facts, expected: { packageBytes } }: Subject): number {
  const release = releaseOf(facts)
  const repository = release && repositoryFor(release, packageBytes.keys())
  return packageBytes.get(repository ?? '') ?? 0
}
