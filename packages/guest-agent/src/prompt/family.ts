/**
 * All processes that one prompt has started, wherever they went: those of its session, and those that carry its mark in their
 * environment, which a program keeps when it makes a session of its own.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { readHead } from '../read-head.js';

export interface Family {
  /** Pid of the first process, which leads its session. */
  leader: number;
  /** `NAME=value`, unlike any other, in the environment of the first process. */
  mark: string;
}

/** Bytes of an environment that are looked through; a program may have megabytes of it. */
const environmentBytes = 64 * 1024;
const lookMs = 20;
/** Looks until processes that do not end are given up: ten seconds. */
const looks = 500;

async function isMember(pid: number, { leader, mark }: Family): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // After the name in parentheses: state, parent, group, session.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return false;
    if (Number(fields[3]) === leader) return true;
    const environment = await readHead(`/proc/${pid}/environ`, environmentBytes);
    return environment.toString('latin1').split('\0').includes(mark);
  } catch {
    // It has ended meanwhile, or belongs to somebody whose processes this one may not look into.
    return false;
  }
}

/** Pids of those that live. */
export async function membersOf(family: Family): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const members: number[] = [];
  // One after the other: there may be thousands, each with so much to look through.
  for (const pid of pids) if (await isMember(pid, family)) members.push(pid);
  return members;
}

/** SIGKILL until nobody is left: a process may have started another one between the look and the signal. */
export async function endFamily(family: Family): Promise<void> {
  for (let look = 0; look < looks; look += 1) {
    const members = await membersOf(family);
    if (members.length === 0) return;
    for (const pid of members) signal(pid, 'SIGKILL');
    await delay(lookMs);
  }
  throw new Error(`The prompt of process ${family.leader} has processes that do not end.`);
}

/** One that has ended already is fine. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
