import { kubernetesPorts } from './facts.ts'
import { error, type Fault, isControlPlane, runsPods, type Subject, warning } from './subject.ts'

export function ports(subject: Subject): Fault[] {
  const { facts, expected } = subject
  if (!expected.kubernetes || !runsPods(subject)) return []
  const wanted = Object.entries(kubernetesPorts).filter(
    ([port]) => facts.ports.includes(Number(port)) && (isControlPlane(subject) || port === '10250'),
  )
  if (wanted.length === 0) return []
  const taken = wanted.map(([port, name]) => `${port} (${name})`).join(', ')
  return hasPartOfCluster(subject)
    ? [
        warning(
          `Kubernetes, or a part of it, already runs there (ports ${taken})`,
          'nothing if it belongs to this cluster; a machine of another cluster must leave that one first',
        ),
      ]
    : [
        error(
          `another program listens on ports that Kubernetes needs: ${taken}`,
          'find it with `ss -ltnp`, and stop and disable it',
        ),
      ]
}

/** An interrupted install leaves etcd or a control plane without a kubelet; the next one continues with them. */
function hasPartOfCluster({ facts }: Subject): boolean {
  return ['kubelet', 'etcd', 'kube-apiserver'].some(name => facts.running.includes(name))
}

export function runtimes(subject: Subject): Fault[] {
  const { facts, expected } = subject
  if (!expected.kubernetes || !runsPods(subject)) return []
  const docker = facts.running.includes('dockerd') || facts.sockets.includes('docker')
  const crio = facts.running.includes('crio') || facts.sockets.includes('crio')
  const found = [...(docker ? ['docker'] : []), ...(crio ? ['cri-o'] : [])]
  if (found.length === 0) return []
  return [
    warning(
      `${found.join(' and ')} runs there, next to the containerd of Kubernetes`,
      'remove it unless something else needs it; docker brings its own containerd, which kubespray replaces',
    ),
  ]
}
