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

# debs:                                       # Debian, Ubuntu: one repository per OS release, with all that the packages need
#   - name: ubuntu-22.04
#     sources:                                # or archive:, suite: and keys: right here, where it is one suite
#       - archive: http://archive.ubuntu.com/ubuntu
#         suites: [jammy, jammy-updates, jammy-security]   # a flat repository's ends with a slash: ./
#         components: [main, universe]
#         keys: [keys/ubuntu-archive.asc]     # who may sign them
#         priority: 500                       # as apt_preferences(5)
#     architectures: [amd64]
#     foreignArchitectures: [i386]            # on the same machine, for pkg:i386
#     packages: [jq, socat]                   # pkg, pkg=version, pkg/suite, pkg:architecture
#     lists: [packages.txt]
#     kernelPackages: ["linux-headers-{kernel}"]   # for the kernels of a site: airgap lock --site probe.json
#     recommends: false
#     pins: [{packages: [containerd*], suite: jammy-updates, priority: 990}]
#     base: none                              # or what the machines have already: minimal, server, cloud, {list: FILE}

# rpms:                                       # the RHEL family: one entry per OS release
#   - name: el9
#     platform: platform:el9                  # default: from the name
#     repositories:
#       - id: baseos
#         baseurl: https://mirror.example/BaseOS/x86_64/os
#         keys: [keys/RPM-GPG-KEY-example]    # who signs packages and their list
#         metadata: signed                    # unsigned, where the publisher signs packages only
#         priority: 99
#         excludepkgs: [kernel-rt*]
#         moduleHotfixes: false
#         client: {certificate: entitlement.pem, key: entitlement-key.pem}
#     architectures: [x86_64]
#     modules: ["nvidia-driver:535-dkms"]
#     packages: [nfs-utils, "@core"]          # name, name-version-release, name.arch, @group, /a/file
#     kernelPackages: ["kernel-devel-{kernel}"]
#     weak: false                             # weak dependencies, too
#     base: none

# wheels:                                     # Python: one index for the site, for these Pythons and platforms
#   - name: tools
#     indexes: ["https://pypi.org/simple/"]
#     packages: ["ansible==8.5.0"]
#     requirements: [requirements.txt]
#     constraints: [constraints.txt]
#     pythons: ["3.11"]
#     platforms: [manylinux_2_28_x86_64]      # the newest glibc that the machines have
#     sdists: [pbr]                           # projects whose source may be carried where there is no wheel
#     prereleases: false

# trees:                                      # folders laid down on the site as they are
#   - name: deploy
#     from: deploy
#     exclude: ["*.bak"]

# deployments:                                # what the site runs: rendered by \`airgap images\`, to find all that it uses
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
