import { z } from 'zod'

/** The stack manifest as a person writes it (YAML). Strict: an unknown key is a mistake. Paths are relative to the manifest. */

const text = z.string().min(1).max(2048)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be lower-case letters, digits, dot, dash or underscore')
const version = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.+~_-]{0,62}$/, 'must be a version such as 1.2.0')
const platform = z
  .string()
  .regex(/^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9]+)?$/, 'must be os/architecture, for example linux/amd64')

export const imageEntrySchema = z.union([
  text,
  z.strictObject({
    list: text,
    /** who starts them, where no release does: `kubespray`; excuses each from being unused */
    usedBy: text.optional(),
  }),
  z.strictObject({
    /** the name it is deployed under */
    ref: text,
    /** host/repository[:tag] it is fetched from, where that is another place */
    from: text.optional(),
    platforms: z.array(platform).min(1).optional(),
    /** also carry what refers to it: signatures, SBOMs */
    referrers: z.boolean().optional(),
    foreignLayers: z.enum(['refuse', 'fetch']).optional(),
  }),
])

export const chartEntrySchema = z.strictObject({
  name,
  /** https://… with an index.yaml, or oci://host/path */
  repo: z.string().regex(/^(https?|oci):\/\//, 'must begin with https://, http:// or oci://'),
  version,
  sha256: sha256.optional(),
})

export const fileEntrySchema = z.strictObject({
  url: z.string().regex(/^https?:\/\//, 'must begin with https:// or http://'),
  sha256: sha256.optional(),
  /** path under /files; default: host and path of the URL */
  path: text.optional(),
  executable: z.boolean().optional(),
})

const httpUrl = z.string().regex(/^https?:\/\//, 'must begin with https:// or http://')
/** apt_preferences(5) and dnf.conf(5) */
const priority = z.number().int().min(-32_768).max(32_767)

/** What the machines have already: a word, or a file as `dpkg-query -W` or `rpm -qa` print it. */
const baseSchema = z.union([
  z.enum(['none', 'minimal', 'server', 'cloud']),
  z.strictObject({
    /** lines of `name version architecture` */
    list: text,
  }),
])

const debSourceFields = {
  archive: httpUrl,
  components: z.array(text).default(['main']),
  /** OpenPGP public keys (armored or binary) that may sign the suites */
  keys: z.array(text).min(1),
  priority: priority.optional(),
}

const debFields = {
  /** the OS release, and the folder under /debs: `ubuntu-22.04` */
  name,
  architectures: z.array(name).min(1).default(['amd64']),
  foreignArchitectures: z.array(name).default([]),
  /** package names; `pkg=version` asks for one version, `pkg/suite` for the one of a suite, `pkg:i386` for an architecture */
  packages: z.array(text).default([]),
  /** files with one package a line */
  lists: z.array(text).default([]),
  /** with `lock --site`: for each kernel of the machines, `{kernel}` being its release */
  kernelPackages: z.array(text).default([]),
  recommends: z.boolean().default(false),
  pins: z
    .array(
      z.strictObject({
        packages: z.array(text).min(1),
        version: text.optional(),
        suite: text.optional(),
        origin: text.optional(),
        priority,
      }),
    )
    .default([]),
  base: baseSchema.default('none'),
}

export const debEntrySchema = z.union([
  z.strictObject({ ...debFields, ...debSourceFields, suite: text }),
  z.strictObject({
    ...debFields,
    sources: z.array(z.strictObject({ ...debSourceFields, suites: z.array(text).min(1) })).min(1),
  }),
])

export const rpmEntrySchema = z.strictObject({
  /** the OS release, and the folder under /rpms: `el9` */
  name,
  /** what modules ask for; default: from the name, `platform:el9` */
  platform: z
    .string()
    .regex(/^platform:[a-z0-9.]+$/, 'must be platform:STREAM, for example platform:el9')
    .optional(),
  repositories: z
    .array(
      z.strictObject({
        id: name,
        baseurl: httpUrl,
        /** OpenPGP public keys that sign packages and repomd.xml */
        keys: z.array(text).min(1),
        /** `unsigned` where the publisher signs no repomd.xml (EPEL); each package's signature is checked all the same */
        metadata: z.enum(['signed', 'unsigned']).default('signed'),
        priority: priority.default(99),
        excludepkgs: z.array(text).default([]),
        moduleHotfixes: z.boolean().default(false),
        /** entitlement certificate of the build host (PEM files) */
        client: z.strictObject({ certificate: text, key: text }).optional(),
      }),
    )
    .min(1),
  architectures: z.array(name).min(1).default(['x86_64']),
  /** `nvidia-driver:535-dkms`, with a profile `nodejs:18/development` */
  modules: z.array(text).default([]),
  /** as dnf takes them: name, name-version-release, name.arch, `@group`, `/a/file` */
  packages: z.array(text).default([]),
  lists: z.array(text).default([]),
  kernelPackages: z.array(text).default([]),
  /** weak dependencies, too */
  weak: z.boolean().default(false),
  base: baseSchema.default('none'),
})

export const wheelEntrySchema = z.strictObject({
  name,
  /** PEP 503 or 691; a project comes from the first that has it */
  indexes: z.array(httpUrl).min(1).default(['https://pypi.org/simple/']),
  /** requirement specifiers: `ansible==8.5.0` */
  packages: z.array(text).default([]),
  /** requirements files */
  requirements: z.array(text).default([]),
  constraints: z.array(text).default([]),
  pythons: z.array(z.string().regex(/^3\.[0-9]{1,2}$/, "must be a version such as '3.11', in quotes")).min(1),
  platforms: z
    .array(z.string().regex(/^[a-z0-9_]+$/, 'must be a platform tag such as manylinux_2_28_x86_64'))
    .min(1)
    .default(['manylinux_2_28_x86_64']),
  /** projects whose source may be carried where there is no wheel; `*` for all */
  sdists: z.array(text).default([]),
  prereleases: z.boolean().default(false),
})

export const treeEntrySchema = z.strictObject({
  name,
  /** the folder to lay down as it is */
  from: text,
  /** paths or `*` patterns left out */
  exclude: z.array(text).default([]),
})

/** Releases that the site runs: rendered to find every image that they use. */
export const deploymentEntrySchema = z.strictObject({
  /** a helmfile */
  helmfile: text,
  environments: z.array(name).min(1),
  /** values files of what only a site knows (passwords, addresses): stand-ins, so that everything renders */
  values: z.array(text).default([]),
})

/** A finding of `airgap images` that is known and meant. */
export const excuseEntrySchema = z.strictObject({
  /** an image, or a URL */
  name: text,
  reason: text,
})

export const sourceEntrySchema = z.strictObject({
  /** a registry host, host/repository prefix or URL prefix */
  from: text,
  /** places tried in order; `http://` where a registry speaks plain HTTP */
  to: z.array(text).min(1),
})

/** What is carried. */
const content = {
  images: z.array(imageEntrySchema).default([]),
  charts: z.array(chartEntrySchema).default([]),
  files: z.array(fileEntrySchema).default([]),
  debs: z.array(debEntrySchema).default([]),
  rpms: z.array(rpmEntrySchema).default([]),
  wheels: z.array(wheelEntrySchema).default([]),
  trees: z.array(treeEntrySchema).default([]),
  excuses: z.array(excuseEntrySchema).default([]),
}

export const manifestSchema = z.strictObject({
  apiVersion: z.literal('airgap/v1'),
  name,
  version,
  platforms: z.array(platform).min(1).default(['linux/amd64']),
  sources: z.array(sourceEntrySchema).default([]),
  ...content,
  /** what is carried beyond that where it is asked for: `airgap lock --with NAME` */
  variants: z
    .record(name, z.strictObject({ description: text, platforms: z.array(platform).default([]), ...content }))
    .default({}),
  deployments: z.array(deploymentEntrySchema).default([]),
  /** component → version, where no image, chart or wheel tells it: for the rules of compatibility.yaml */
  versions: z.record(name, text).default({}),
  /** a file of rules: what goes with what */
  compatibility: text.optional(),
  /** repository path on the site → upstream host that answers there, where two upstreams collide */
  collisions: z.record(text, text).default({}),
  /** what the publisher gives neither size nor checksum for */
  firstUse: z.enum(['allow', 'refuse']).default('allow'),
})
/** A file of mirrors, kept apart from the manifest: what a build is made of does not depend on it. */
export const overlaySchema = z.strictObject({
  apiVersion: z.literal('airgap/v1').optional(),
  sources: z.array(sourceEntrySchema),
})
/**
 * A layer for rehearsals: an upstream of one's own under the publishers' names. What is locked with it is marked, and no site
 * takes it for the real thing.
 */
export const testLayerSchema = z.strictObject({
  apiVersion: z.literal('airgap/v1'),
  /** written out, so that no other file is taken for one */
  testUpstream: z.literal(true),
  sources: z.array(sourceEntrySchema).default([]),
  /** URL of a file → sha256 of what the test's upstream has there */
  checksums: z.record(z.string(), sha256).default({}),
})
export type ManifestDocument = z.infer<typeof manifestSchema>
