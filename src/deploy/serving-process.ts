import { randomUUID } from 'node:crypto'
import { inheritedSource } from '../bundle/inherited-source.ts'
import { type BundleStore, openBundle } from '../bundle/reader.ts'
import { AirgapError } from '../core/errors.ts'
import type { Signer } from '../kinds/mount.ts'
import { type OverlayClient, overlayClient } from '../overlay/client.ts'
import { overlayStore } from '../overlay/overlay-store.ts'
import { attend, remoteOwner } from '../overlay/remote-owner.ts'
import type { Readiness } from '../serve/monitoring.ts'
import { connectSupervisor, type ProcessLink } from '../serve/process-link.ts'
import { firstInherited } from '../serve/process-messages.ts'
import { remoteVerdicts } from '../serve/remote-verdicts.ts'
import { drainAll, type Taking, takeConnections } from '../serve/taking.ts'
import type { ServerProof } from '../site/server-proof.ts'
import {
  memoryShare,
  monitoringQuestions,
  type ProcessSetup,
  type ServingTls,
  tlsNotice,
} from './serving-options.ts'
import { remoteAccess } from './site-access.ts'
import { makeSiteServers } from './site-servers.ts'

/** Runs one serving process: it answers connections that its supervisor has accepted, from bundles that it has opened and judged. */
export async function runServingProcess(): Promise<never> {
  const link = await connectSupervisor()
  const takings: Taking[] = []
  try {
    await serve(link, { taken: taking => takings.push(taking) })
    const how = await Promise.race([drained(link, takings), link.stopped])
    if (how !== 'drained') await Promise.all(takings.map(taking => taking.close(how)))
    await link.flush()
  } catch (error) {
    await link.fail(error)
    process.exit(1)
  }
  process.exit(0)
}

async function drained(link: ProcessLink, takings: readonly Taking[]): Promise<'drained'> {
  await link.drained
  const { idleClosed, ended } = drainAll(takings.map(taking => taking.drain()))
  await idleClosed
  link.idleClosed()
  await ended
  return 'drained'
}

async function serve(link: ProcessLink, { taken }: { taken: (taking: Taking) => void }): Promise<void> {
  const setup = link.setup as ProcessSetup
  const stores: BundleStore[] = []
  for (const [i, bundle] of setup.bundles.entries()) stores.push(await openInherited(i, bundle))
  let { tls } = setup
  const encrypted: Taking[] = []
  link.onNotice((what, value) => {
    if (what !== tlsNotice) return
    tls = value as ServingTls
    for (const taking of encrypted) taking.renewTls(tls)
  })
  await makeSiteServers(stores, {
    address: setup.address,
    site: setup.site,
    about: setup.about,
    now: () => new Date(setup.now),
    signer: () => signerOf(link),
    prove: async claim => (await link.ask('prove', claim)) as ServerProof,
    monitoring: {
      readiness: async () => (await link.ask(monitoringQuestions.readiness, null)) as Readiness,
      metrics: async mediaType => (await link.ask(monitoringQuestions.metrics, mediaType)) as string,
    },
    logOf: server => link.logOf(server, { all: setup.logsAll }),
    memory: memoryShare(setup.processes),
    verdicts: remoteVerdicts(link),
    verify: setup.verify,
    access: await remoteAccess(link),
    overlay: { served: overlayOf(link, setup), store: overlayStore(setup.overlay) },
    ca: setup.tls?.ca,
    async ready(name, { server, folders, url, log }) {
      const taking = await takeConnections(server, {
        changed: link.changed,
        tls: tls && { settings: tls, url, log },
      })
      encrypted.push(taking)
      if (tls !== undefined) taking.renewTls(tls)
      taken(taking)
      link.serve(name, taking, folders)
    },
  })
}

/** The supervisor has judged the index with this digest; everything else is reached from it by digests. */
async function openInherited(
  position: number,
  { path, indexDigest }: ProcessSetup['bundles'][number],
): Promise<BundleStore> {
  const store = await openBundle(await inheritedSource({ fd: firstInherited + position, path }))
  if (store.indexDigest === indexDigest) return store
  throw new AirgapError('DIGEST_MISMATCH', 'the bundle was changed while it was served', {
    item: path,
    likely: 'another program writes to it',
    next: 'run `offline-deploy verify` on the bundle, then start the servers again',
  })
}

/** What was pushed belongs to the supervisor: this process writes bytes, and asks. */
function overlayOf({ ask }: ProcessLink, { overlay: folder }: ProcessSetup): OverlayClient {
  const holder = randomUUID()
  attend(ask, holder)
  return overlayClient(remoteOwner(ask), { folder, holder })
}

/** The site's key never leaves the supervisor. */
async function signerOf(link: ProcessLink): Promise<Signer> {
  const ask = async (what: string, text: string | null) => (await link.ask(what, text)) as string
  return {
    fingerprint: await ask('fingerprint', null),
    publicKeyArmored: await ask('public-key', null),
    clearSign: text => ask('clear-sign', text),
    detachSign: text => ask('detach-sign', text),
  }
}
