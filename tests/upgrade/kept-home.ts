/**
 * The disk with the home of a CLI VM, all through an upgrade, and the tree of files that is in it (support/home-tree.ts). Compared from
 * outside, while the VM stands still: the home is encrypted there, and all that the file system has of the tree is to be the same.
 */
import { stat } from 'node:fs/promises';
import { homePaths } from '@airlock/contract/home';
import { readDiskTree, type DiskTree } from '../support/disk-tree.js';
import { treeOf } from '../support/home-tree.js';

/** Files, folders and links of the tree; the file with two names counts once. */
const treeSize = 13;

export class KeptHome {
  readonly #home: string;
  readonly #vmId: string;
  readonly #disk: string;
  #inode = 0;
  #file = '';
  #tree: DiskTree = new Map();

  constructor(home: string, vmId: string) {
    this.#home = home;
    this.#vmId = vmId;
    this.#disk = homePaths(home).vmFile(vmId, 'disk');
  }

  /** Waits until the tree is there, during the first run of the VM. */
  async untilMade(): Promise<void> {
    ({ inode: this.#inode } = await treeOf(this.#home, this.#vmId));
  }

  /** Of the VM standing still. */
  async note(): Promise<void> {
    this.#tree = await readDiskTree(this.#disk, this.#inode);
    this.#file = await this.#identity();
    if (this.#tree.size !== treeSize) throw new Error(`${this.#tree.size} files and folders are on ${this.#disk}`);
    const clear = [...this.#tree.values()].filter((about) => !isEncrypted(about));
    if (clear.length > 0) throw new Error(`not encrypted:\n${clear.join('\n')}`);
  }

  /** Of the VM standing still. @throws Error when the disk is another file, or anything of the tree is not as it was noted */
  async requireSame(): Promise<void> {
    const file = await this.#identity();
    if (file !== this.#file) throw new Error(`${this.#disk} is ${file}, and was ${this.#file}`);
    const [before, after] = [this.#tree, await readDiskTree(this.#disk, this.#inode)];
    const changed = [...new Set([...before.keys(), ...after.keys()])]
      .filter((inode) => after.get(inode) !== before.get(inode))
      .map((inode) => `was: ${before.get(inode) ?? 'not there'}\nis: ${after.get(inode) ?? 'not there'}`);
    if (changed.length > 0) throw new Error(`not the same on ${this.#disk}:\n${changed.join('\n')}`);
  }

  /** A copy would be another inode, or made at another time. */
  async #identity(): Promise<string> {
    const { dev, ino, birthtimeNs } = await stat(this.#disk, { bigint: true });
    return `${dev}:${ino} of ${birthtimeNs}`;
  }
}

/** By the attribute that says by which key. A pipe has no content. */
const isEncrypted = (about: string): boolean => /^name = c$/m.test(about) || about.includes('Type: FIFO');
