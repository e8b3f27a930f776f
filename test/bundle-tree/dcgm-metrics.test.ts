import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const path = join(
  import.meta.dirname,
  '../../bundle/astrago/applications/gpu-operator/chart/files/dcgm-metrics.csv',
)
/** The metrics of Astrago's component document, section 7.1, by their names in dcgm-exporter 3.3.8. */
const documented = {
  'GPU utilization': ['DCGM_FI_DEV_GPU_UTIL'],
  'memory utilization': ['DCGM_FI_DEV_MEM_COPY_UTIL'],
  temperature: ['DCGM_FI_DEV_GPU_TEMP', 'DCGM_FI_DEV_MEMORY_TEMP'],
  'power draw': ['DCGM_FI_DEV_POWER_USAGE'],
  Memory_Clock: ['DCGM_FI_DEV_MEM_CLOCK'],
  SM_Clock: ['DCGM_FI_DEV_SM_CLOCK'],
  Framebuffer_Memory_Used: ['DCGM_FI_DEV_FB_USED'],
  Memory_Bandwidth_Utilization: ['DCGM_FI_PROF_DRAM_ACTIVE'],
  Memory_Interface_Utilization: ['DCGM_FI_PROF_PCIE_TX_BYTES', 'DCGM_FI_PROF_PCIE_RX_BYTES'],
  Tensor_Core_Utilization: ['DCGM_FI_PROF_PIPE_TENSOR_ACTIVE'],
  'MIG instances': ['DCGM_FI_PROF_GR_ENGINE_ACTIVE', 'DCGM_FI_PROF_SM_ACTIVE'],
  NVLink: [
    'DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL',
    'DCGM_FI_PROF_NVLINK_TX_BYTES',
    'DCGM_FI_PROF_NVLINK_RX_BYTES',
  ],
}

it('dcgm-exporter is configured with every metric of the component document, once, in its own format', async () => {
  const lines = (await readFile(path, 'utf8'))
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
  for (const line of lines) expect(line).toMatch(/^DCGM_FI_[A-Z0-9_]+, (?:gauge|counter), [^,]+(?:, [^,]+)*$/)
  const fields = lines.map(line => line.split(',')[0])
  expect(new Set(fields).size).toBe(fields.length)
  expect(fields).toEqual(expect.arrayContaining(Object.values(documented).flat()))
})
