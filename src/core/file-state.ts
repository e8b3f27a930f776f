import { fstatSync } from 'node:fs'
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
 * Returns the present states of open files as `stateText` does. Synchronous: it takes about two microseconds and reads no disk, while a
 * trip through the thread pool would take longer than to send what is checked with it.
 */
export function descriptorsState(fds: readonly number[]): string {
  return stateText(fds.map(fd => stateOf('', fstatSync(fd, { bigint: true }))))
}

/** Returns which (first) file a state is of, by device and inode; empty for content in memory. */
export function fileOfState(state: string): string {
  return state.slice(0, Math.max(0, state.indexOf(' ')))
}

/**
 * Returns whether every write from now on changes the state that `stateText` returned: a write within the granularity of the file system's
 * times leaves them as they are. Times without a fraction of a second are those of a file system that has none (FAT: 2 s).
 */
export function isSettled(state: string, now: number /* ms since 1970 */): boolean {
  if (state === '') return true
  return state.split('; ').every(text => {
    const changed = BigInt(text.slice(text.lastIndexOf(' ') + 1))
    const granularity = changed % 1_000_000_000n === 0n ? 2_100 : 50
    return now - Number(changed / 1_000_000n) > granularity
  })
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
