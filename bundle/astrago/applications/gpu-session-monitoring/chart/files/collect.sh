#!/bin/sh
# Asks nvidia-smi who uses which GPU, and writes Prometheus metrics for node-exporter's textfile collector.
#
#   gpu_session_count{gpu,uuid,gpu_instance,compute_instance}   processes on a GPU, or on a MIG instance of it
#   gpu_total_sessions                                          processes on all GPUs
#   gpu_process_info{…,pid,command,type,namespace,pod,container} 1
#   gpu_process_utilization{…}                                  % of the GPU's multiprocessors, where the driver says (not with MIG)
#   gpu_process_memory_utilization{…}                           % of the memory of the GPU or MIG instance
#   gpu_session_collector_success, gpu_session_collector_timestamp_seconds
#
# Needs sh, awk, find and nvidia-smi. Pods are found without asking Kubernetes: the control group of a process names its container,
# and kubelet's links in /var/log/containers name the pod of a container.
set -eu
# bytes, not characters: awk may know no UTF-8, and numbers have a point whatever the language is
export LC_ALL=C

TEXTFILE_FOLDER=${TEXTFILE_FOLDER:-/host/textfile}
PROC=${PROC:-/proc}
CONTAINER_LOGS=${CONTAINER_LOGS:-/host/var/log/containers}
NVIDIA_SMI=${NVIDIA_SMI:-nvidia-smi}
NOW=${NOW:-$(date +%s)}

work=$(mktemp -d)
temporary=$TEXTFILE_FOLDER/.gpu_sessions.prom.$$
trap 'rm -rf "$work" "$temporary"' EXIT
mkdir -p "$TEXTFILE_FOLDER"
# what collectors that were killed have left behind; node-exporter reads names that end with .prom only
find "$TEXTFILE_FOLDER" -name '.gpu_sessions.prom.*' -mmin +10 -exec rm -f {} + || :
# What node-exporter reads is replaced whole: it never sees half a file. Never at the end of a pipe: what is to be published has to be
# complete, and a pipe also ends where the writer was killed.
publish() {
  cat "$1" >"$temporary"
  chmod 0644 "$temporary"
  mv "$temporary" "$TEXTFILE_FOLDER/gpu_sessions.prom"
}

header() {
  cat <<'TEXT'
# HELP gpu_session_collector_success 1 if nvidia-smi answered
# TYPE gpu_session_collector_success gauge
# HELP gpu_session_collector_timestamp_seconds When the GPUs were asked
# TYPE gpu_session_collector_timestamp_seconds gauge
TEXT
}

# A driver that does not answer is told as such: old sessions must not seem to go on. Half an answer is none.
if ! { "$NVIDIA_SMI" -q -x >"$work/gpus.xml" 2>"$work/error" && grep -q '</nvidia_smi_log>' "$work/gpus.xml"; } &&
  ! grep -q '^No devices were found' "$work/gpus.xml" "$work/error"; then
  echo "nvidia-smi failed: $(head -c 500 "$work/error") $(head -c 500 "$work/gpus.xml")" >&2
  {
    header
    echo 'gpu_session_collector_success 0'
    echo "gpu_session_collector_timestamp_seconds $NOW"
  } >"$work/metrics"
  publish "$work/metrics"
  exit 0
fi
# per process: not with MIG, and not with every driver
"$NVIDIA_SMI" pmon -c 1 -s u >"$work/usage" 2>/dev/null || : >"$work/usage"

# GPU lines: gpu|index|uuid|instance|compute instance|memory in MiB;
# process lines: process|index|uuid|instance|compute instance|pid|type|memory in MiB|memory of the device in MiB|name
awk '
function value(line) { sub(/^[ \t]*<[a-z_]+>/, "", line); sub(/<\/[a-z_]+>[ \t\r]*$/, "", line); return line }
function number(text) { return text ~ /^[0-9]+( MiB)?$/ ? text + 0 : "" }
function instance(text) { return text ~ /^[0-9]+$/ ? text : "" }
/^[ \t]*<gpu id=/ { index_++; gpu = index_ - 1; uuid = ""; devices = 0; processes = 0; mig = 0; total = ""; inside = "gpu"; next }
/^[ \t]*<\/gpu>/ {
  if (!mig) print "gpu|" gpu "|" uuid "|||" total
  for (d = 1; d <= devices; d++) print "gpu|" gpu "|" uuid "|" gi[d] "|" ci[d] "|" size[d]
  for (p = 1; p <= processes; p++) {
    room = total
    for (d = 1; d <= devices; d++) if (gi[d] == pgi[p] && ci[d] == pci[p]) room = size[d]
    print "process|" gpu "|" uuid "|" pgi[p] "|" pci[p] "|" pid[p] "|" type[p] "|" used[p] "|" room "|" name[p]
  }
  inside = ""; next
}
inside == "" { next }
/^[ \t]*<uuid>/ && inside == "gpu" { uuid = value($0); gsub(/[^A-Za-z0-9-]/, "", uuid) }
/^[ \t]*<current_mig>/ { mig = (value($0) == "Enabled") }
/^[ \t]*<mig_device>/ { inside = "mig"; devices++; gi[devices] = ci[devices] = size[devices] = "" }
/^[ \t]*<\/mig_device>/ { inside = "gpu" }
/^[ \t]*<process_info>/ { inside = "process"; processes++; pgi[processes] = pci[processes] = pid[processes] = type[processes] = used[processes] = name[processes] = "" }
/^[ \t]*<\/process_info>/ { inside = "gpu" }
/^[ \t]*<fb_memory_usage>/ { memory = 1 }
/^[ \t]*<\/fb_memory_usage>/ { memory = 0 }
/^[ \t]*<total>/ && memory { if (inside == "mig") size[devices] = number(value($0)); else if (inside == "gpu") total = number(value($0)) }
/^[ \t]*<gpu_instance_id>/ { if (inside == "mig") gi[devices] = instance(value($0)); if (inside == "process") pgi[processes] = instance(value($0)) }
/^[ \t]*<compute_instance_id>/ { if (inside == "mig") ci[devices] = instance(value($0)); if (inside == "process") pci[processes] = instance(value($0)) }
/^[ \t]*<pid>/ && inside == "process" { pid[processes] = instance(value($0)) }
/^[ \t]*<type>/ && inside == "process" { type[processes] = value($0); gsub(/[^A-Z+]/, "", type[processes]) }
/^[ \t]*<used_memory>/ && inside == "process" { used[processes] = number(value($0)) }
/^[ \t]*<process_name>/ && inside == "process" { name[processes] = value($0) }
' "$work/gpus.xml" >"$work/lines"

# pid|namespace|pod|container, for processes that are still there
awk -F'|' '$1 == "process" && $6 != "" && !($6 in seen) { seen[$6] = 1; print $6 }' "$work/lines" >"$work/pids"
while read -r pid; do
  [ -r "$PROC/$pid/cgroup" ] || continue
  # cri-containerd-ID.scope (systemd) or /podUID/ID (cgroupfs); both crio and containerd name containers by 64 hex digits
  id=$(grep -oE '[0-9a-f]{64}' "$PROC/$pid/cgroup" 2>/dev/null | tail -n 1) || id=
  place='||'
  if [ -n "$id" ]; then
    # POD_NAMESPACE_CONTAINER-ID.log
    for log in "$CONTAINER_LOGS"/*"-$id.log"; do
      [ -e "$log" ] || [ -L "$log" ] || continue
      file=${log##*/}
      file=${file%-"$id.log"}
      pod=${file%%_*}
      rest=${file#*_}
      place="${rest%%_*}|$pod|${rest#*_}"
    done
  fi
  echo "$pid|$place"
done <"$work/pids" >"$work/places"

{
  header
  awk -F'|' -v usage="$work/usage" -v places="$work/places" -v now="$NOW" '
  function unescaped(text) {
    gsub(/&lt;/, "<", text); gsub(/&gt;/, ">", text); gsub(/&quot;/, "\"", text); gsub(/&apos;/, "\047", text); gsub(/&amp;/, "\\&", text)
    return text
  }
  # A value that is no UTF-8 has the whole file refused: each byte that belongs to no character becomes a question mark. What is too
  # long is cut between characters.
  function characters(text, room,   good) {
    good = ""
    while (text != "" && length(good) < room) {
      if (!match(text, /^([ -~]|[\302-\337][\200-\277]|\340[\240-\277][\200-\277]|[\341-\354\356\357][\200-\277][\200-\277]|\355[\200-\237][\200-\277]|\360[\220-\277][\200-\277][\200-\277]|[\361-\363][\200-\277][\200-\277][\200-\277]|\364[\200-\217][\200-\277][\200-\277])/)) {
        good = good "?"; RLENGTH = 1
      } else if (length(good) + RLENGTH > room) return good
      else good = good substr(text, 1, RLENGTH)
      text = substr(text, RLENGTH + 1)
    }
    return good
  }
  # "&&" doubles what was found; how many backslashes stand for one in such a text is another number in each awk
  function label(text, room) { gsub(/[[:cntrl:]]/, " ", text); text = characters(text, room); gsub(/\\/, "&&", text); gsub(/"/, "\\\"", text); return text }
  function device(f2, f3, f4, f5) { return "gpu=\"" f2 "\",uuid=\"" f3 "\",gpu_instance=\"" f4 "\",compute_instance=\"" f5 "\"" }
  BEGIN {
    while ((getline line < places) > 0) { split(line, field, "|"); alive[field[1]] = 1; namespace[field[1]] = field[2]; pod[field[1]] = field[3]; container[field[1]] = field[4] }
    while ((getline line < usage) > 0) { split(line, field, " "); if (field[1] ~ /^[0-9]+$/ && field[2] ~ /^[0-9]+$/ && field[4] ~ /^[0-9]+$/) busy[field[1] "/" field[2]] = field[4] }
  }
  $1 == "gpu" { key = device($2, $3, $4, $5); if (!(key in sessions)) order[++devices] = key; sessions[key] += 0 }
  $1 == "process" && ($6 in alive) {
    key = device($2, $3, $4, $5)
    if (!(key in sessions)) { order[++devices] = key; sessions[key] = 0 }
    # one process may be listed twice, as compute and as graphics
    if ((key, $6) in seen) next
    seen[key, $6] = 1
    sessions[key]++; total++
    name = $10; for (i = 11; i <= NF; i++) name = name "|" $i
    labels = key ",pid=\"" $6 "\",command=\"" label(unescaped(name), 200) "\",type=\"" $7 "\",namespace=\"" label(namespace[$6], 255) "\",pod=\"" label(pod[$6], 255) "\",container=\"" label(container[$6], 255) "\""
    info[total] = labels
    if ($8 != "" && $9 > 0) memory[total] = sprintf("%.2f", 100 * $8 / $9)
    if (($2 "/" $6) in busy) share[total] = busy[$2 "/" $6]
  }
  END {
    print "gpu_session_collector_success 1"
    print "gpu_session_collector_timestamp_seconds " now
    print "# HELP gpu_session_count Processes on a GPU or MIG instance"
    print "# TYPE gpu_session_count gauge"
    for (d = 1; d <= devices; d++) print "gpu_session_count{" order[d] "} " sessions[order[d]]
    print "# HELP gpu_total_sessions Processes on all GPUs"
    print "# TYPE gpu_total_sessions gauge"
    print "gpu_total_sessions " total + 0
    print "# HELP gpu_process_info A process on a GPU, and the container it runs in"
    print "# TYPE gpu_process_info gauge"
    for (p = 1; p <= total; p++) print "gpu_process_info{" info[p] "} 1"
    print "# HELP gpu_process_utilization Share of the multiprocessors of the GPU that a process uses, in percent"
    print "# TYPE gpu_process_utilization gauge"
    for (p = 1; p <= total; p++) if (p in share) print "gpu_process_utilization{" info[p] "} " share[p]
    print "# HELP gpu_process_memory_utilization Share of the memory of the GPU or MIG instance that a process uses, in percent"
    print "# TYPE gpu_process_memory_utilization gauge"
    for (p = 1; p <= total; p++) if (p in memory) print "gpu_process_memory_utilization{" info[p] "} " memory[p]
  }' "$work/lines"
} >"$work/metrics"
publish "$work/metrics"
