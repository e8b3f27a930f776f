/** What `airgap init` writes. A test loads it. */
export const starterManifest = `# A stack manifest: everything a closed site needs, by name. \`airgap lock\` turns it into exact digests.
apiVersion: airgap/v1
name: my-stack
version: 1.0.0

# What the site's nodes are. Images published for several platforms are narrowed to these; their digests stay.
platforms: [linux/amd64]

# Fetch from elsewhere, for the whole build: registry hosts, host/prefix or URL prefixes; several are tried in order.
# sources:
#   - from: docker.io
#     to: [mirror.example/dockerhub, docker.io]

images:
  - registry.k8s.io/pause:3.9
  # - list: images.txt                        # one reference a line, # begins a comment
  # - ref: docker.io/bitnami/keycloak:22.0.5  # the name it is deployed under …
  #   from: docker.io/bitnamilegacy/keycloak  # … and where it is fetched from
  #   platforms: [linux/amd64, linux/arm64]
  #   referrers: true                         # signatures and SBOMs, too
  #   foreignLayers: fetch                    # or refuse, the default

# charts:
#   - name: csi-driver-nfs
#     repo: https://raw.githubusercontent.com/kubernetes-csi/csi-driver-nfs/master/charts
#     version: v4.7.0
#   - name: keycloak
#     repo: oci://registry-1.docker.io/bitnamicharts
#     version: 17.3.5

# files:                                      # served under /files/HOST/PATH, or under /files/PATH if given
#   - url: https://dl.k8s.io/release/v1.28.6/bin/linux/amd64/kubectl
#     sha256: c8351fe0611119fd36634dd3f53eb94ec1a2d43ef9e78b92b4846df5cc7aa7e3
#     executable: true

# debs:                                       # one repository per OS release, with everything the packages depend on
#   - name: debian-12
#     archive: http://deb.debian.org/debian
#     suite: bookworm
#     components: [main]
#     architectures: [amd64]
#     keys: [keys/debian-archive.asc]         # who may sign the suite
#     packages: [jq, socat]
#     recommends: false

# trees:                                      # folders laid down on the site as they are
#   - name: deploy
#     from: deploy
#     exclude: ["*.bak"]

# Two upstreams that would have one name on the site: who answers there.
# collisions:
#   library/nginx: docker.io

# What its publisher gives no checksum for is trusted on first use; \`refuse\` makes that an error.
firstUse: allow
`
