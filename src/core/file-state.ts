import { type FileHandle, stat } from 'node:fs/promises'

/**
 * Which file it is, and when it was last changed. Two equal states mean that nothing was written to the file in between, as far as the file
 * system tells: its times have a granularity (a few milliseconds; 2 s on FAT), and damage to the medium itself changes no time.
 */
export interface FileState {
  path: string
  device: bigint
  inode: bigint
  /** bytes */
  size: bigint
  /** of the content; any user who can write the file can set it back */
  modifiedNs: bigint
  /** of content, names and mode; cannot be set back (FAT and exFAT: the same as `modifiedNs`) */
  changedNs: bigint
}

/** Returns the state of an open file: writing to it changes it, putting another file at its path does too (its number of links changes). */
export async function openFileState(file: Pick<FileHandle, 'stat'>, path: string): Promise<FileState> {
  return stateOf(path, await file.stat({ bigint: true }))
}

/** Returns the state of the file that the path leads to now. */
export async function fileStateAt(path: string): Promise<FileState> {
  return stateOf(path, await stat(path, { bigint: true }))
}

/** Returns the states as a text; two texts are equal where nothing was written to any of the files. */
export function stateText(states: readonly FileState[]): string {
  return states.map(state => `${state.device}:${state.inode} ${lastingText(state)}`).join('; ')
}

/**
 * Returns the part of the states that is the same after a reboot, or after a medium was connected again: without device and inode,
 * which are numbered then. A file that was put in the place of another one has other times.
 */
export function lastingStateText(states: readonly FileState[]): string {
  return states.map(lastingText).join('; ')
}

/** Returns whether both are the same file, changed or not. */
export function isSameFile(a: FileState, b: FileState): boolean {
  return a.device === b.device && a.inode === b.inode
}

function lastingText({ size, modifiedNs, changedNs }: FileState): string {
  return `${size} ${modifiedNs} ${changedNs}`
}

interface Stats {
  dev: bigint
  ino: bigint
  size: bigint
  mtimeNs: bigint
  ctimeNs: bigint
}

function stateOf(path: string, { dev, ino, size, mtimeNs, ctimeNs }: Stats): FileState {
  return { path, device: dev, inode: ino, size, modifiedNs: mtimeNs, changedNs: ctimeNs }
}
