import { toolVersion } from '../core/tool-version.ts'
import type { Metric } from '../metrics/exposition.ts'
import type { ProcessUsage } from '../metrics/process-usage.ts'
import { durationBounds } from '../serve/counters.ts'
import type { ServedContent, ServingState } from './serving-options.ts'

/** Everything that the metrics of a site's servers are made from. */
export interface SiteFigures {
  serving: ServingState
  content: readonly ServedContent[]
  usage: ProcessUsage
  /** of the file system with the state folder, bytes; undefined where it cannot be determined */
  disk: { size: number; available: number } | undefined
  /** of what was pushed, bytes */
  pushed: number
  /** when the certificate expires; undefined with plain HTTP */
  certificate: Date | undefined
  ready: boolean
  /** when the servers were started */
  since: Date
}

/** The metrics of a site. */
export function siteMetrics({
  serving,
  content,
  usage,
  disk,
  pushed,
  certificate,
  ready,
  since,
}: SiteFigures): Metric[] {
  const servers = Object.entries(serving.servers)
  const perServer = (value: (counters: (typeof servers)[number][1]) => number) =>
    servers.map(([server, counters]) => ({ labels: { server }, value: value(counters) }))
  const openIn = (what: 'open' | 'answering') =>
    servers.map(([server]) => ({
      labels: { server },
      value: [...serving.processes, ...serving.draining].reduce(
        (sum, one) => sum + (one[what][server] ?? 0),
        0,
      ),
    }))
  return [
    gauge('airgap_build_info', 'Version of this program and of its Node.js; the value is always 1.', [
      { labels: { version: toolVersion, node: process.versions.node }, value: 1 },
    ]),
    gauge('airgap_ready', 'Whether /readyz answers 200 (1) or 503 (0).', [{ value: ready ? 1 : 0 }]),
    {
      name: 'airgap_http_requests',
      help: 'Requests that were answered or aborted, by class of their status.',
      type: 'counter',
      samples: servers.flatMap(([server, { statuses }]) =>
        Object.entries(statuses).map(([code, value]) => ({ labels: { server, code }, value })),
      ),
    },
    counter(
      'airgap_http_response_body_bytes',
      'Bytes of bodies that were sent.',
      perServer(one => one.bytes),
    ),
    counter(
      'airgap_http_responses_aborted',
      'Answers that are incomplete: the client disconnected, or the content is damaged.',
      perServer(one => one.aborted),
    ),
    {
      name: 'airgap_http_request_duration_seconds',
      help: 'From the head of a request to the end of its answer.',
      type: 'histogram',
      samples: servers.map(([server, { durations }]) => ({
        labels: { server },
        value: { bounds: durationBounds, counts: durations.counts, sum: durations.milliseconds / 1_000 },
      })),
    },
    gauge('airgap_http_requests_in_flight', 'Requests that are being answered.', openIn('answering')),
    gauge('airgap_http_connections', 'Open connections.', openIn('open')),
    gauge(
      'airgap_content_blobs',
      'Blobs of a bundle by what is known of them in the present state of its file.',
      content.flatMap(one => contentSamples(one, 'blobs')),
    ),
    gauge(
      'airgap_content_bytes',
      'Bytes of the blobs of a bundle by what is known of them in the present state of its file.',
      content.flatMap(one => contentSamples(one, 'bytes')),
    ),
    gauge('airgap_serving_processes', 'Processes that answer requests.', [
      { value: serving.processes.length },
    ]),
    counter('airgap_serving_process_restarts', 'Processes that ended unexpectedly and were started again.', [
      { value: serving.restarts },
    ]),
    ...(disk === undefined
      ? []
      : [
          gauge('airgap_state_disk_size_bytes', 'Size of the file system with the state folder.', [
            { value: disk.size },
          ]),
          gauge('airgap_state_disk_available_bytes', 'Free space on the file system with the state folder.', [
            { value: disk.available },
          ]),
        ]),
    gauge(
      'airgap_overlay_bytes',
      'Bytes of the content that was pushed to this site, each blob counted once.',
      [{ value: pushed }],
    ),
    gauge(
      'airgap_certificate_expiry_timestamp_seconds',
      'When the certificate of the servers expires, in Unix time; none with plain HTTP.',
      certificate === undefined ? [] : [{ value: certificate.getTime() / 1_000 }],
    ),
    counter('process_cpu_seconds', 'CPU time of all processes of the servers.', [
      { value: usage.cpuSeconds },
    ]),
    gauge('process_resident_memory_bytes', 'Resident memory of all processes of the servers.', [
      { value: usage.residentBytes },
    ]),
    gauge('process_open_fds', 'Open files of all processes of the servers.', [{ value: usage.openFiles }]),
    gauge('process_start_time_seconds', 'When the servers were started, in Unix time.', [
      { value: since.getTime() / 1_000 },
    ]),
  ]
}

function gauge(name: string, help: string, samples: Metric['samples']): Metric {
  return { name, help, type: 'gauge', samples }
}

function counter(name: string, help: string, samples: Metric['samples']): Metric {
  return { name, help, type: 'counter', samples }
}

function contentSamples(
  { name, version, ...content }: ServedContent,
  what: 'blobs' | 'bytes',
): Metric['samples'] {
  return (['verified', 'damaged', 'unread'] as const).map(state => ({
    labels: { bundle: name, version, state },
    value: content[state][what],
  }))
}
