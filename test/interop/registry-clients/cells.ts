import { craneCells, helmCells, orasCells } from './artifact-clients.ts'
import { httpCells } from './http-clients.ts'
import { ctrCells, engine, skopeoCells, umociCells } from './image-clients.ts'
import type { Cell, Operation } from './place.ts'

const cellsOf = (needs: string[], cells: Partial<Record<Operation, Cell['run']>>) =>
  Object.fromEntries(Object.entries(cells).map(([operation, run]) => [operation, { needs, run }]))

/** Client → operation → what it does. A client without an operation has none: skopeo knows no referrers, apt pushes nothing. */
export const cells: Record<string, Partial<Record<Operation, Cell>>> = {
  containerd: cellsOf(['containerd', 'ctr', 'skopeo'], ctrCells),
  podman: cellsOf(['podman', 'skopeo'], engine('podman')),
  skopeo: cellsOf(['skopeo'], skopeoCells),
  buildah: cellsOf(['buildah', 'skopeo'], engine('buildah')),
  umoci: cellsOf(['umoci', 'skopeo'], umociCells),
  helm: cellsOf(['helm'], helmCells),
  oras: cellsOf(['oras'], orasCells),
  crane: cellsOf(['crane'], craneCells),
  ...Object.fromEntries(Object.entries(httpCells).map(([name, cell]) => [name, { pull: cell }])),
}
