import type { Command } from 'commander'
import { probeMachine } from '../../probe/machine.ts'
import type { Probe } from '../../probe/schema.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'

export function probeCommand(program: Command, shell: Shell): void {
  addExamples(program.command('probe'), [
    ['offline-deploy probe -o json > probe.json', 'for the build host: airgap lock --site probe.json'],
  ])
    .description('Describe this machine for `airgap lock --site` (no host names, no addresses)')
    .option('--root <folder>', 'root of the system to examine', '/')
    .action(async (options: { root: string }) => {
      const probe = await probeMachine(options.root)
      shell.print(probe, () => render(probe))
    })
}

function render(probe: Probe): string[] {
  const { os, kernel, architecture, memory, cpus, disks, mounts, packages, pci, secureBoot } = probe
  const gpus = pci.filter(device => device.id.startsWith('10de:') && device.class.startsWith('03')).length
  return [
    `${os.name ?? `${os.id} ${os.version ?? ''}`}, kernel ${kernel.release}, ${architecture}`,
    `${cpus} CPUs, ${humanBytes(memory)} memory, ${gpus} NVIDIA GPUs, Secure Boot ${secureBoot}`,
    ...disks.map(disk => `disk ${disk.name}: ${humanBytes(disk.size)}${disk.model ? `, ${disk.model}` : ''}`),
    ...mounts.map(mount => `${mount.path}: ${humanBytes(mount.free)} free of ${humanBytes(mount.size)}`),
    `${packages.length} packages installed`,
    'for a file to carry to the build host: offline-deploy probe -o json > probe.json',
  ]
}
