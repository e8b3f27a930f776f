import { kinds } from '../kinds/index.ts'

const head = `# A stack manifest: everything a closed site needs, by name. \`airgap lock\` turns it into exact digests.
apiVersion: airgap/v1
name: my-stack
version: 1.0.0

# What the site's nodes are. Images published for several platforms are narrowed to these; their digests stay.
platforms: [linux/amd64]

# Fetch from elsewhere, for the whole build: registry hosts, host/prefix or URL prefixes; several are tried in order.
# sources:
#   - from: docker.io
#     to: [mirror.example/dockerhub, docker.io]
`

const tail = `# deployments:                                # what the site runs: rendered by \`airgap images\`, to find all that it uses
#   - helmfile: deploy/helmfile.yaml
#     environments: [prod]
#     values: [stand-ins.yaml]                # for what only a site knows
# excuses:
#   - name: docker.io/library/busybox:1.36
#     reason: started by hand
# versions: {kubernetes: v1.28.6}             # for the rules of compatibility:, where nothing else tells them
# compatibility: compatibility.yaml

# Two upstreams that would have one name on the site: who answers there.
# collisions:
#   library/nginx: docker.io

# What its publisher gives no checksum for is trusted on first use; \`refuse\` makes that an error.
firstUse: allow
`

/** What `airgap init` writes: each kind shows its own entries. */
export const starterManifest = [head, ...kinds.map(({ entry }) => entry.starter), tail].join('\n')
