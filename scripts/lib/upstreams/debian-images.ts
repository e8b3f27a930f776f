import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError } from '../../../src/core/errors.ts'
import { home } from '../places.ts'
import { run } from '../run.ts'
import { createLayout, hashFile, type LayerFile, putImage, putIndex, tagLayout } from './oci-layout.ts'

const archiveKey = join(home, 'manifests', 'keys', 'debian-archive.asc')

/** Images made from real Debian packages, because tests cannot reach public registries. */

/** Makes an OCI layout with the tags `busybox` (an index of busybox-static for two architectures) and `pause` (a single image). */
export async function makeBusybox(folder: string): Promise<void> {
  await createLayout(folder)
  const images: { image: Awaited<ReturnType<typeof putImage>>; architecture: string }[] = []
  let pause: Awaited<ReturnType<typeof putImage>> | undefined
  for (const architecture of ['amd64', 'arm64']) {
    const layers = [await busyboxLayer(folder, architecture)]
    const image = await putImage(folder, {
      architecture,
      layers,
      config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
    })
    images.push({ image, architecture })
    if (architecture === 'amd64') {
      pause = await putImage(folder, {
        architecture,
        layers,
        config: { Entrypoint: ['/bin/sleep', 'infinity'] },
      })
    }
  }
  await tagLayout(folder, { busybox: await putIndex(folder, images), pause: pause! })
}

async function busyboxLayer(folder: string, architecture: string): Promise<LayerFile> {
  const deb = await downloadDeb({
    name: 'busybox-static',
    architecture,
    folder: join(folder, `apt-${architecture}`),
  })
  const root = join(folder, `root-${architecture}`)
  await mkdir(join(root, 'bin'), { recursive: true })
  await run([
    'sh',
    '-c',
    'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --strip-components=2 ./bin/busybox',
    'sh',
    deb,
    join(root, 'bin'),
  ])
  for (const applet of ['sh', 'cat', 'echo', 'ls', 'sleep', 'uname', 'wget'])
    await symlink('busybox', join(root, 'bin', applet))
  return await packLayer(root, join(folder, `layer-${architecture}.tar`))
}

/** Downloads one package of any architecture with a private apt configuration; the host's is left alone. */
export async function downloadDeb(wanted: {
  name: string
  architecture: string
  folder: string
}): Promise<string> {
  const { name, architecture, folder } = wanted
  await mkdir(join(folder, 'state', 'lists', 'partial'), { recursive: true })
  await mkdir(join(folder, 'cache', 'archives', 'partial'), { recursive: true })
  await writeFile(
    join(folder, 'sources.list'),
    `deb [signed-by=${archiveKey}] http://deb.debian.org/debian bookworm main\n`,
  )
  const options = [
    `Dir::Etc::SourceList=${folder}/sources.list`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State=${folder}/state`,
    'Dir::State::status=/dev/null',
    `Dir::Cache=${folder}/cache`,
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
  ].flatMap(option => ['-o', option])
  await run(['apt-get', ...options, '-qq', 'update'])
  await run(['apt-get', ...options, '-qq', 'download', name], { cwd: folder })
  const deb = (await readdir(folder)).find(file => file.startsWith(`${name}_`) && file.endsWith('.deb'))
  if (!deb) {
    throw new AirgapError('NOT_FOUND_UPSTREAM', 'apt-get downloaded nothing', {
      item: `${name} ${architecture}`,
      likely: 'the archive, or the mirror in use, is incomplete',
      next: 'run it again',
    })
  }
  return join(folder, deb)
}

/** Programs that `debianRoot` needs, besides root privileges. */
export const debianRootPrograms = ['mmdebstrap', 'apt-get', 'tar', 'gzip'] as const

/** Path in the cache of the layout that `makeBusybox` makes. */
export function busyboxLayout(cache: string): string {
  return join(cache, 'busybox-image')
}

/** Path in the cache of the Debian image, an OCI layout with the tag `debian`; complete if it exists. */
export function debianImageLayout(cache: string): string {
  return join(cache, 'debian-image')
}

export function debianImageCached(cache: string): boolean {
  return existsSync(debianImageLayout(cache))
}

/**
 * Returns the tar of a Debian 12 root file system with apt and the packages of `include`, which are part of its name. Making it takes
 * 30 s or more, once; then it comes from the cache. Needs root.
 */
export async function debianRoot(cache: string, include: readonly string[] = []): Promise<string> {
  const tar = join(cache, `${['debian-12-root', ...include].join('+')}.tar`)
  if (existsSync(tar)) return tar
  await mkdir(cache, { recursive: true })
  const part = `${tar}.${process.pid}.part`
  try {
    await run([
      'mmdebstrap',
      '--quiet',
      '--variant=apt',
      '--architectures=amd64',
      '--format=tar',
      ...(include.length > 0 ? [`--include=${include.join(',')}`] : []),
      'bookworm',
      part,
      'http://deb.debian.org/debian',
    ])
    await rename(part, tar)
  } finally {
    await rm(part, { force: true })
  }
  return tar
}

/** Makes a Debian image of three layers: the root file system and two small ones on top. */
export async function makeDebian(folder: string, rootTar: string): Promise<void> {
  await createLayout(folder)
  const root: LayerFile = {
    path: join(folder, 'root.tar.gz'),
    gzip: true,
    diffId: (await hashFile(rootTar)).digest,
  }
  await run(['sh', '-c', 'gzip -1 -n -c "$1" > "$2"', 'sh', rootTar, root.path])
  const layers = [root]
  for (const [name, text] of [
    ['motd', 'Astrago closed site\n'],
    ['issue', 'Debian of the demo\n'],
  ] as const) {
    const top = join(folder, `top-${name}`)
    await mkdir(join(top, 'etc'), { recursive: true })
    await writeFile(join(top, 'etc', name), text)
    layers.push(await packLayer(top, join(folder, `${name}.tar`)))
  }
  await tagLayout(folder, {
    debian: await putImage(folder, { architecture: 'amd64', layers, config: { Cmd: ['bash'] } }),
  })
}

/** Packs a folder reproducibly: the tar.gz depends on the content only. */
async function packLayer(root: string, tar: string): Promise<LayerFile> {
  await run([
    'tar',
    '--sort=name',
    '--mtime=@0',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '-cf',
    tar,
    '-C',
    root,
    '.',
  ])
  const { digest: diffId } = await hashFile(tar)
  await run(['gzip', '-n', '-f', tar])
  return { path: `${tar}.gz`, gzip: true, diffId }
}
