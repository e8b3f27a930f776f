import { readList } from './source-text.ts'
import type { RequirementLine } from './stack.ts'

/** What a requirements file asks for. */
export interface Requirements {
  requirements: RequirementLine[]
  constraints: RequirementLine[]
}

/** pip's requirements file format. */
export async function readRequirements(path: string, asker: string): Promise<Requirements> {
  return { requirements: await readList(path, asker), constraints: [] }
}
