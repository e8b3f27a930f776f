import type { Step } from '../../install/step.ts'
import { kubernetesStep } from '../../install/steps/kubernetes.ts'
import { nodeVersion } from '../../inventory/kubernetes-version.ts'
import { kubeVersion } from '../site-install.ts'
import { ansibleInputs, limitTo, type MachineParts, nodesWith } from './parts.ts'
import { preparedBy } from './playbooks.ts'

export async function kubernetes(parts: MachineParts): Promise<Step | undefined> {
  const { install, files, tools, upgrade } = parts
  const { site, deployment } = install
  const { kubespray } = deployment
  if (kubespray === undefined || !site.switches.kubernetes) return undefined
  const machines = nodesWith(parts, 'control-plane', 'worker')
  const version = site.versions.kubernetes ?? (await kubeVersion(install))
  const programs = Object.values(deployment.tools).map(({ file }) => file)
  return kubernetesStep({
    ansible: tools.ansible,
    cluster: tools.cluster,
    kubespray: tools.paths.kubespray,
    needs: [preparedBy(parts)],
    machines,
    controlPlane: nodesWith(parts, 'control-plane'),
    limit: limitTo(parts, machines),
    upgrade: upgrade !== undefined,
    version: version && nodeVersion(version),
    inputs: async () => ({
      of: await ansibleInputs(parts, [kubespray.inventory]),
      // kubespray itself, and what it installs on the machines
      files: [...files]
        .filter(([path]) => !programs.includes(path))
        .map(([path, { descriptor }]) => [path, descriptor.digest]),
    }),
  })
}
