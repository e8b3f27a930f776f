import { destroyApplication } from '../install/steps/application.ts'
import { applicationOf, applicationsOf, type ClusterChange } from './change-cluster.ts'

/** Removes applications, the last one installed first; all of them where none is named. Volumes and their data stay. */
export function destroyApplications(names: readonly string[]): ClusterChange<{ destroyed: string[] }> {
  return {
    releases: true,
    pulls: false,
    describe: site =>
      `remove ${applicationsOf(site, names).toReversed().join(', ')} from the cluster; volumes stay`,
    async run(site, { progress, signal }) {
      const destroyed: string[] = []
      for (const name of applicationsOf(site, names).toReversed()) {
        progress.note(`destroy: ${name}`)
        await destroyApplication(applicationOf(site, name), signal)
        await site.undone(`app-${name}`)
        destroyed.push(name)
      }
      return { destroyed }
    },
  }
}
