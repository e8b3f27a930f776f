import { expect, it } from 'vitest'
import { renderReport } from '../../../src/cli/shell/images-report.ts'
import { compareImages } from '../../../src/discover/report.ts'

it('names an image per node as a list has to, because its bare tag was never published', () => {
  const driver = {
    upstream: 'nvcr.io/nvidia/driver:580',
    onSite: 'nvcr.io/nvidia/driver:580',
    leak: false,
    perNode: true as const,
    seen: [],
  }
  const report = compareImages({ used: [driver], urls: [], hasFile: () => true, listed: [], excuses: [] })
  expect(renderReport(report, 0).join('\n')).toContain(
    '  nvcr.io/nvidia/driver:580-OS, once for each OS of the nodes (ubuntu22.04, rhel9.4, …)\n',
  )
})
