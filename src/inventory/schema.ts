import { isIP } from 'node:net'
import { z } from 'zod'
import { isNetwork } from './network.ts'

/**
 * site.yaml: what differs between sites. Everything that reaches a program has a narrow form, so that it can only be data: a name,
 * an address, a path. Jinja and Go templates are refused everywhere (fault 96): ansible and charts would evaluate them.
 */

/** RFC 1123, as Kubernetes requires for the names of nodes. */
const nodeName = z
  .string()
  .max(63)
  .regex(
    /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/,
    'must be a host name of a-z, 0-9 and -, at most 63 characters (Kubernetes accepts no other)',
  )
const ip = z.string().refine(text => isIP(text) !== 0, 'must be an IP address')
/** address of a machine that other machines reach */
const machineAddress = ip.refine(
  text => !/^(?:0\.|127\.|22[4-9]\.|2[3-5]\d\.|::1?$|ff)/i.test(text),
  'must be an address that other machines can reach, neither loopback nor multicast',
)
/** address or host name of a machine or a load balancer */
const host = z
  .string()
  .max(253)
  .regex(
    /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|[0-9a-fA-F:]+)$/,
    'must be an address or a host name',
  )
  .refine(text => !/^[\d.]+$/.test(text) || isIP(text) === 4, 'must be an address or a host name')
const user = z
  .string()
  .regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'must be a user name of a-z, 0-9, _ and -, at most 32 characters')
const path = z
  .string()
  .max(1000)
  .regex(/^\/[A-Za-z0-9._/@+-]*$/, 'must be an absolute path of letters, digits and . _ / @ + -')
  .refine(text => !text.split('/').includes('..'), 'must not contain ..')
const network = z.string().refine(isNetwork, 'must be a network such as 10.0.0.0/24, or an address')
const port = z.number().int('must be a port, 1 to 65535').min(1).max(65_535)
const environment = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'must be the name of a folder in environments/, for example prod')
/**
 * Ansible's special variables (docs.ansible.com, "Special Variables"): with `ansible_connection: local` a playbook, and a reset,
 * would work on this host instead of the nodes; `ansible_ssh_common_args` has a ProxyCommand, `ansible_python_interpreter` and
 * `ansible_become_exe` are programs (fault 96).
 */
const specialVariable =
  /^(?:ansible_.*|environment|group_names|groups|hostvars|inventory_(?:dir|file|hostname|hostname_short)|omit|play_hosts|playbook_dir|role_(?:name|path|names))$/i
const variable = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of a variable')
  .refine(
    name => !specialVariable.test(name),
    'is a variable of ansible itself, not of kubespray: how nodes are reached is set under ssh and nodes',
  )

export const nodeRoles = ['control-plane', 'worker', 'gpu', 'nfs'] as const
export type NodeRole = (typeof nodeRoles)[number]

const nodeSchema = z.strictObject({
  name: nodeName,
  /** IP address; etcd and the API servers use it */
  address: machineAddress,
  roles: z.array(z.enum(nodeRoles)).min(1),
  /** if other than those of `ssh` */
  user: user.optional(),
  port: port.optional(),
})
export type SiteNode = z.infer<typeof nodeSchema>

const json: z.ZodType<unknown> = z.unknown()

export const siteFileSchema = z.strictObject({
  apiVersion: z.literal('airgap-site/v1'),
  /** which environments/NAME of the deployment tree */
  environment: environment.default('prod'),
  /** DNS servers of the site, for nodes and pods; default: pods resolve the names of the cluster only */
  nameservers: z.array(machineAddress).min(1).max(3).optional(),
  /** where users reach the platform: a node, or a load balancer in front of them */
  externalIP: host.optional(),
  nfs: z
    .strictObject({
      /** a node with the role nfs, or an existing server */
      server: host,
      path: path.default('/nfs-data/astrago'),
      /** clients that may mount it; default: the addresses of the nodes */
      networks: z.array(network).min(1).optional(),
      storageClass: nodeName.optional(),
    })
    .optional(),
  ssh: z
    .strictObject({
      user: user.default('root'),
      port: port.default(22),
      /** default: the keys and the agent of the user who runs offline-deploy */
      privateKey: path.optional(),
      /** true: log in with a password, from a prompt or OFFLINE_DEPLOY_SSH_PASSWORD */
      password: z.boolean().default(false),
      /** password: from a prompt or OFFLINE_DEPLOY_SUDO_PASSWORD */
      sudo: z.enum(['passwordless', 'password']).default('passwordless'),
    })
    .prefault({}),
  nodes: z.array(nodeSchema).min(1).max(5_000),
  /** of an existing cluster; default: the one that kubespray writes */
  kubeconfig: path.optional(),
  versions: z
    .strictObject({
      /** must be in the bundle */
      kubernetes: z
        .string()
        .regex(
          /^v?1\.\d{1,3}\.\d{1,3}$/,
          'must be a version such as v1.28.6, or 1.32.5 as kubespray 2.28 and newer write it',
        )
        .optional(),
    })
    .prefault({}),
  switches: z
    .strictObject({
      /** false: Kubernetes exists already */
      kubernetes: z.boolean().default(true),
      gpuDriver: z.boolean().default(true),
      nfs: z.boolean().default(true),
      /** false: this application is not installed */
      applications: z.record(nodeName, z.boolean()).default({}),
    })
    .prefault({}),
  /** kubespray variables for every node; they win over kubespray's own and the tree's */
  kubespray: z.record(variable, json).default({}),
  /** texts in maps (site-secrets.ts): kept in environments/NAME/secrets.yaml, and never shown */
  secrets: z.record(z.string(), json).default({}),
  /** set in environments/NAME/values.yaml */
  values: z.record(z.string(), json).default({}),
})
export type SiteFile = z.infer<typeof siteFileSchema>
