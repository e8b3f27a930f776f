import { kinds } from '../kinds/index.ts'

const head = `# A stack manifest: everything that a closed site needs, by name. \`airgap lock\` resolves it to exact digests.
apiVersion: airgap/v1
name: my-stack
version: 1.0.0

# The platforms of the site's nodes. Of an image for several platforms, only these are carried; its digest does not change.
platforms: [linux/amd64]

# Mirrors for the whole build: registry hosts, host/prefix or URL prefixes; several are tried in order.
# sources:
#   - from: docker.io
#     to: [mirror.example/dockerhub, docker.io]

# Images and OCI charts of these sources are locked only with a signature by one of these signers.
# signatures:
#   - from: registry.k8s.io                   # a registry host or HOST/REPOSITORY; the longest applies
#     cosign: [publisher.pub]                 # public keys (PEM); or keyless:, notation:
`

const tail = `# deployments:                                # what the site runs; \`airgap images\` renders it to find all images
#   - helmfile: deploy/helmfile.yaml
#     environments: [prod]
#     values: [placeholders.yaml]             # for what only a site knows
#     apiVersions: [monitoring.coreos.com/v1] # of a cluster that has more than Kubernetes and these releases provide
# excuses:
#   - name: docker.io/library/busybox:1.36
#     reason: for debugging, started by hand
# versions: {kubernetes: v1.28.6}             # of components without an image, chart or wheel, for the compatibility rules
# compatibility: compatibility.yaml
# guides: [FIELD-GUIDE.md]                     # for people on site: unpacked with the program

# Two upstreams with the same repository path on the site: which one is served there.
# collisions:
#   library/nginx: docker.io

# Content without a checksum from its publisher is trusted on first use; \`refuse\` makes that an error.
firstUse: allow
`

/** What `airgap init` writes: each kind adds an example of its entries. */
export const starterManifest = [head, ...kinds.map(({ entry }) => entry.starter), tail].join('\n')
