import { error, type Fault, type Subject, warning } from './subject.ts'

const isGpuNode = ({ node }: Subject) => node.roles.includes('gpu')

export function gpuDevice(subject: Subject): Fault[] {
  if (!isGpuNode(subject) || subject.facts.nvidia !== 0) return []
  return [
    warning(
      'has the role gpu, but no NVIDIA device',
      'install the card, pass it through to the virtual machine, or remove the role in site.yaml',
    ),
  ]
}

export function secureBoot(subject: Subject): Fault[] {
  const { facts, expected } = subject
  if (!isGpuNode(subject) || !facts.secureBoot || !expected.gpuDriver || facts.driver !== undefined) return []
  return [
    error(
      'Secure Boot is on: the kernel would refuse the driver, which is not signed for it',
      'turn Secure Boot off in the firmware, or install a signed driver and set switches.gpuDriver to false',
    ),
  ]
}

export function nouveau(subject: Subject): Fault[] {
  if (!isGpuNode(subject) || !subject.facts.nouveau) return []
  return [
    warning(
      'the driver nouveau is loaded and holds the GPU',
      'reboot after the step gpu-driver, which prevents it from loading again',
    ),
  ]
}

export function gpuDriver(subject: Subject): Fault[] {
  const { facts, expected } = subject
  const { driver } = facts
  const { driverBranch: branch } = expected
  if (!isGpuNode(subject) || !expected.gpuDriver || driver === undefined || branch === undefined) return []
  if (driver.startsWith(`${branch}.`)) return []
  return [
    warning(
      `NVIDIA driver ${driver} is loaded; the bundle installs branch ${branch}`,
      'remove that driver, or keep it and set switches.gpuDriver to false in site.yaml',
    ),
  ]
}
