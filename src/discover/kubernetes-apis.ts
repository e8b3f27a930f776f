/**
 * The APIs that a cluster of a Kubernetes version serves by default, as `Capabilities.APIVersions` of helm has them on a cluster:
 * group/version and group/version/Kind. `helm template` knows the former only.
 *
 * Source: kubernetes.io/docs/reference/using-api/deprecation-guide and the API reference of each version. Betas that are off by
 * default since 1.24 are not listed.
 */

interface Served {
  api: string
  kinds: string
  /** minor version of Kubernetes 1 that first serves it by default; 0: older than any in use */
  since?: number
  /** minor version that no longer serves it */
  until?: number
}

const served: readonly Served[] = [
  {
    api: 'v1',
    kinds:
      'Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount',
  },
  {
    api: 'admissionregistration.k8s.io/v1',
    kinds: 'MutatingWebhookConfiguration ValidatingWebhookConfiguration',
  },
  {
    api: 'admissionregistration.k8s.io/v1',
    kinds: 'ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding',
    since: 30,
  },
  { api: 'apiextensions.k8s.io/v1', kinds: 'CustomResourceDefinition' },
  { api: 'apiregistration.k8s.io/v1', kinds: 'APIService' },
  { api: 'apps/v1', kinds: 'ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet' },
  { api: 'authentication.k8s.io/v1', kinds: 'TokenReview' },
  { api: 'authentication.k8s.io/v1', kinds: 'SelfSubjectReview', since: 28 },
  {
    api: 'authorization.k8s.io/v1',
    kinds: 'LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview',
  },
  { api: 'autoscaling/v1', kinds: 'HorizontalPodAutoscaler Scale' },
  { api: 'autoscaling/v2', kinds: 'HorizontalPodAutoscaler', since: 23 },
  { api: 'autoscaling/v2beta1', kinds: 'HorizontalPodAutoscaler', until: 25 },
  { api: 'autoscaling/v2beta2', kinds: 'HorizontalPodAutoscaler', until: 26 },
  { api: 'batch/v1', kinds: 'CronJob Job' },
  { api: 'batch/v1beta1', kinds: 'CronJob', until: 25 },
  { api: 'certificates.k8s.io/v1', kinds: 'CertificateSigningRequest' },
  { api: 'coordination.k8s.io/v1', kinds: 'Lease' },
  { api: 'discovery.k8s.io/v1', kinds: 'EndpointSlice' },
  { api: 'discovery.k8s.io/v1beta1', kinds: 'EndpointSlice', until: 25 },
  { api: 'events.k8s.io/v1', kinds: 'Event' },
  { api: 'events.k8s.io/v1beta1', kinds: 'Event', until: 25 },
  { api: 'flowcontrol.apiserver.k8s.io/v1', kinds: 'FlowSchema PriorityLevelConfiguration', since: 29 },
  {
    api: 'flowcontrol.apiserver.k8s.io/v1beta3',
    kinds: 'FlowSchema PriorityLevelConfiguration',
    since: 26,
    until: 32,
  },
  {
    api: 'flowcontrol.apiserver.k8s.io/v1beta2',
    kinds: 'FlowSchema PriorityLevelConfiguration',
    since: 23,
    until: 29,
  },
  { api: 'networking.k8s.io/v1', kinds: 'Ingress IngressClass NetworkPolicy' },
  { api: 'networking.k8s.io/v1', kinds: 'IPAddress ServiceCIDR', since: 33 },
  { api: 'node.k8s.io/v1', kinds: 'RuntimeClass' },
  { api: 'node.k8s.io/v1beta1', kinds: 'RuntimeClass', until: 25 },
  { api: 'policy/v1', kinds: 'Eviction PodDisruptionBudget' },
  { api: 'policy/v1beta1', kinds: 'PodDisruptionBudget PodSecurityPolicy', until: 25 },
  { api: 'rbac.authorization.k8s.io/v1', kinds: 'ClusterRole ClusterRoleBinding Role RoleBinding' },
  {
    api: 'resource.k8s.io/v1',
    kinds: 'DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice',
    since: 34,
  },
  { api: 'scheduling.k8s.io/v1', kinds: 'PriorityClass' },
  { api: 'storage.k8s.io/v1', kinds: 'CSIDriver CSINode StorageClass VolumeAttachment' },
  { api: 'storage.k8s.io/v1', kinds: 'CSIStorageCapacity', since: 24 },
  { api: 'storage.k8s.io/v1', kinds: 'VolumeAttributesClass', since: 34 },
  { api: 'storage.k8s.io/v1beta1', kinds: 'CSIStorageCapacity', until: 27 },
]

/** Returns the APIs of a Kubernetes version (`v1.31.4`); without one, those of a current version. */
export function kubernetesApis(version: string | undefined): string[] {
  const minor = Number(/^v?1\.(\d+)/.exec(version ?? '')?.[1] ?? Number.POSITIVE_INFINITY)
  const now = served.filter(
    ({ since = 0, until }) => minor >= since && (until === undefined || minor < until),
  )
  return now.flatMap(({ api, kinds }) => [api, ...kinds.split(' ').map(kind => `${api}/${kind}`)])
}

/** Whether an API belongs to Kubernetes itself, so that the version of the cluster decides whether it is served. */
export function isKubernetesApi(api: string): boolean {
  const group = api.split('/')[0]!
  return !api.includes('/') || /^v\d/.test(group) || builtInGroup.test(group)
}

/** The groups without a domain, and those under k8s.io that the API server itself serves. */
const builtInGroup =
  /^(?:apps|autoscaling|batch|extensions|policy|(?:admissionregistration|apiextensions|apiregistration|authentication|authorization|rbac\.authorization|certificates|coordination|discovery|events|flowcontrol\.apiserver|internal\.apiserver|networking|node|resource|scheduling|settings|storage|storagemigration)\.k8s\.io)$/
