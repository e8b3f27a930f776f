import { redactUrl } from '../../core/redact.ts'
import type { ResolveContext } from '../kind.ts'
import type { Chosen } from './build-result.ts'
import type { ResolutionRequest } from './criteria.ts'
import type { PackageIndex } from './package-index.ts'
import { parseRequirement } from './requirement.ts'
import { type Solution, solve } from './solver.ts'
import { parseWheelName } from './tags.ts'
import { compareVersions, parseVersion } from './version.ts'

/**
 * Resolves what the site's pip needs to build the chosen source distributions: for each, pip installs its `build-system.requires` (PEP 518) and
 * their closure from the same index into an environment of its own, in which neither constraints nor hashes of the requirements apply. What a
 * build backend requests beyond that while it runs (PEP 517, `get_requires_for_build_wheel`) cannot be known here, except for setuptools.
 */
export async function buildRequirements(
  chosen: readonly Chosen[],
  options: { index: PackageIndex; resolution: ResolutionRequest; context: ResolveContext },
): Promise<Solution[]> {
  const { index, resolution, context } = options
  const solutions: Solution[] = []
  const seen = new Set<string>()
  const queue = [...chosen]
  for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
    const { project, version, file } = one.candidate
    if (parseWheelName(file.filename) !== undefined || seen.has(file.url)) continue
    seen.add(file.url)
    const { requires, isSetuptools } = await index.buildSystem(file)
    const by = `${project} ${version.text}, to build it`
    const solved = async (texts: readonly string[]) =>
      await solve(index, {
        ...resolution,
        constraints: [],
        requirements: texts.map(text => ({
          at: by,
          requirement: parseRequirement(text, { item: redactUrl(file.url) }),
        })),
        rules: { ...resolution.rules, requireHashes: false },
      })
    let solution = await solved(requires)
    if (isSetuptools && needsWheel(solution.chosen)) solution = await solved([...requires, 'wheel'])
    const own = solution.chosen.map(({ candidate, because = project, isHashed }) => ({
      candidate,
      requested: false,
      because,
      isHashed,
    }))
    solutions.push({ ...solution, chosen: own })
    queue.push(...own)
    context.progress.note(
      `${file.filename} is carried as source, with what its build requires (${requires.join(', ') || 'nothing'}); if its build backend requests more, list that under \`packages:\``,
    )
  }
  return solutions
}

/** setuptools before 70.1 has no `bdist_wheel` of its own, and requests `wheel` for each build. */
function needsWheel(chosen: readonly Chosen[]): boolean {
  const has = (project: string) => chosen.find(({ candidate }) => candidate.project === project)?.candidate
  const setuptools = has('setuptools')
  if (setuptools === undefined || has('wheel') !== undefined) return false
  return compareVersions(setuptools.version, parseVersion('70.1')!) < 0
}
