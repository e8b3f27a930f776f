import { rollBackApplication } from '../install/steps/application.ts'
import { applicationOf, applicationsOf, type ClusterChange } from './change-cluster.ts'

/** Rolls the releases of an application back to the revision before their last change. */
export function rollBackReleases(name: string): ClusterChange<{ rolledBack: string[] }> {
  return {
    releases: true,
    pulls: true,
    describe: site => `roll ${applicationsOf(site, [name]).join()} back to its previous revision`,
    async run(site, { signal }) {
      const rolledBack = await rollBackApplication(applicationOf(site, name), signal)
      await site.undone(`app-${name}`)
      return { rolledBack }
    },
  }
}
