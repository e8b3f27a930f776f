import { begin, diskPaths, end, kubernetesPorts } from './facts.ts'

const wantedPorts = Object.keys(kubernetesPorts)
  .map(port => Number(port).toString(16).toUpperCase().padStart(4, '0'))
  .join('|')

/**
 * Examines the machine it runs on; POSIX sh, as root or not. Writes nothing, sends nothing. What cannot be determined is left
 * out. `sudo` comes last: the rest of the input may be its password.
 */
export function probeScript({ sudoPassword }: { sudoPassword: boolean }): string {
  return `export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
say() { printf '%s=%s\\n' "$1" "$(printf %s "$2" | tr '\\n\\t' '  ' | tr -cd '\\040-\\176' | cut -c 1-900)"; }
release() { sed -n "s/^$1=//p" "$os" | head -n 1 | tr -d "\\"'"; }
space() {
  d=$2
  while [ ! -d "$d" ] && [ "$d" != / ]; do d=$(dirname "$d"); done
  say "disk.$1" "$(df -Pk "$d" | { read -r _; read -r _ _ _ free _; echo "$free"; }) $(stat -c %d "$d")"
}
# of lines with assignments: without quotes, scheme and password
proxies() {
  tr -d "\\"'" | sed -n "s/^[^#]*$2=\\([^; ]*\\).*/\\1/p" |
    sed 's#^.*@##; s#^[a-zA-Z0-9+.-]*://##; s#/.*##' | tr -cd 'A-Za-z0-9._:[]\\n-' | sed -n "/./s/^/$1=/p" | head -n 1
}
exempt() {
  list=$(tr -d "\\"'" | sed -n 's/^[^#]*[nN][oO]_[pP][rR][oO][xX][yY]=\\([^; ]*\\).*/\\1/p' | tr '\\n' ',' | tr -cd 'A-Za-z0-9._:[]*,/-')
  if [ "$list" ]; then echo "$1=\${list%,}"; fi
}
look() {
  os=/etc/os-release
  [ -r "$os" ] || os=/usr/lib/os-release
  say osId "$(release ID)"
  say osLike "$(release ID_LIKE)"
  say osVersion "$(release VERSION_ID)"
  say osCodename "$(release VERSION_CODENAME)"
  say osPlatform "$(release PLATFORM_ID)"
  say osName "$(release PRETTY_NAME)"
  say kernel "$(uname -r)"
  say architecture "$(uname -m)"
  say cpus "$(getconf _NPROCESSORS_ONLN || grep -c '^processor' /proc/cpuinfo)"
  say memory "$(sed -n 's/^MemTotal: *\\([0-9]*\\) kB$/\\1/p' /proc/meminfo)"
${Object.entries(diskPaths)
  .map(([name, path]) => `  space ${name} ${path}`)
  .join('\n')}
  say ports "$(cat /proc/net/tcp /proc/net/tcp6 |
    sed -n 's/^ *[0-9]*: [0-9A-F]*:\\([0-9A-F]\\{4\\}\\) [0-9A-F]*:[0-9A-F]\\{4\\} 0A .*/\\1/p' | grep -E -x '${wantedPorts}' | sort -u)"
  say time "$(date +%s)"
  case $(cat /sys/fs/selinux/enforce) in
    1) say selinux enforcing ;;
    0) say selinux permissive ;;
    *) say selinux disabled ;;
  esac
  if [ "$(cat /sys/module/apparmor/parameters/enabled)" = Y ]; then say apparmor yes; else say apparmor no; fi
  if [ "$(sed -n '2p' /proc/swaps)" ]; then say swap yes; else say swap no; fi
  say running "$(for file in /proc/[0-9]*/comm; do
    name=
    { read -r name <"$file"; } 2>/dev/null
    case $name in kubelet | dockerd | containerd | crio | etcd | kube-apiserver) echo "$name" ;; esac
  done | sort -u)"
  sockets=
  [ ! -S /run/docker.sock ] || sockets="$sockets docker"
  [ ! -S /run/containerd/containerd.sock ] || sockets="$sockets containerd"
  [ ! -S /run/crio/crio.sock ] || sockets="$sockets crio"
  say sockets "$sockets"
  route=no
  while read -r _ to _ _ _ _ _ mask _; do
    if [ "$to" = 00000000 ] && [ "$mask" = 00000000 ]; then route=yes; fi
  done </proc/net/route
  if [ -r /proc/net/ipv6_route ]; then
    while read -r to bits _ _ _ _ _ _ _ link; do
      if [ "$to$bits" = 0000000000000000000000000000000000 ] && [ "$link" != lo ]; then route=yes; fi
    done </proc/net/ipv6_route
  fi
  say defaultRoute "$route"
  say nameservers "$(sed -n 's/^nameserver[ \\t][ \\t]*\\([^ \\t#]*\\).*/\\1/p' /etc/resolv.conf | head -n 5)"
  variable='[hHaA][tTlL][tTlL][pP]*[sS]*_[pP][rR][oO][xX][yY]'
  environment=$(cat /etc/environment /etc/profile.d/*.sh)
  containerd=$(cat /etc/systemd/system.conf /etc/systemd/system.conf.d/*.conf /etc/systemd/system/containerd.service.d/*.conf)
  docker=$(cat /etc/systemd/system.conf /etc/systemd/system.conf.d/*.conf /etc/systemd/system/docker.service.d/*.conf)
  apt=$(apt-config dump | sed -n 's/^Acquire::https\\{0,1\\}::Proxy\\(.*\\) "\\(.*\\)";$/\\1 \\2/p')
  say proxies "$(
    echo "$apt" | sed -n 's/^ /x=/p' | grep -iv '^x=direct$' | proxies apt x
    cat /etc/dnf/dnf.conf /etc/yum.conf | sed -n 's/^ *proxy *= */x=/p' | grep -v '^x=_none_$' | proxies dnf x
    echo "$environment" | proxies environment "$variable"
    echo "$containerd" | proxies containerd "$variable"
    echo "$docker" | proxies docker "$variable"
  )"
  say noProxy "$(
    echo "$apt" | sed -n 's/^::\\([^ ]*\\) DIRECT$/no_proxy=\\1/p' | exempt apt
    echo "$environment" | exempt environment
    echo "$containerd" | exempt containerd
    echo "$docker" | exempt docker
  )"
  for program in python3 /usr/libexec/platform-python; do
    version=$("$program" -I -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])') && break
  done
  say python "$version"
  say hostname "$(uname -n)"
  if [ -s /etc/machine-id ]; then say machineId "$(sha256sum </etc/machine-id | cut -c 1-32)"; fi
  if [ -d /sys/bus/pci/devices ]; then
    devices=0
    for device in /sys/bus/pci/devices/*; do
      [ "$(cat "$device/vendor")" = 0x10de ] || continue
      case $(cat "$device/class") in 0x03*) devices=$((devices + 1)) ;; esac
    done
    say nvidia "$devices"
  fi
  say driver "$(cat /sys/module/nvidia/version)"
  if [ -d /sys/module/nouveau ]; then say nouveau yes; else say nouveau no; fi
  variable=/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
  if [ ! -d /sys/firmware/efi ]; then
    say secureBoot no
  elif [ -r "$variable" ]; then
    case $(od -An -t u1 -j 4 -N 1 "$variable" | tr -d ' ') in 1) say secureBoot yes ;; 0) say secureBoot no ;; esac
  fi
  if [ -d /run/systemd/system ]; then say systemd yes; else say systemd no; fi
}
ask_sudo() {
  if [ "$(id -u)" = 0 ]; then say sudo ok; return; fi
  if ! command -v sudo >/dev/null; then say sudo missing; return; fi
  # -k: whether it works now must not depend on when it was last used
  if said=$(${sudoPassword ? "sudo -k -S -p '' true" : 'sudo -k -n true </dev/null'} 2>&1); then
    say sudo ok
    return
  fi
  case $said in
    *'incorrect password'* | *'try again'*) say sudo wrong ;;
    *'password is required'* | *'no password was provided'*) say sudo password ;;
    *) say sudo refused ;;
  esac
  say sudoSays "$said"
}
echo '${begin}'
look </dev/null 2>/dev/null
ask_sudo
echo '${end}'
`
}
