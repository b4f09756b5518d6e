/** Names of temp files that carry their process, so that what a killed process left can be told from what is in use. */
import { sha256 } from '../base/hash.ts';

/** A process, in terms that a reused process id cannot fake. */
export interface ProcessIdentity {
  /** Where the process id is valid: another container, even under the same host name, must say something else. */
  host: string;
  /** Empty where the system tells none. */
  boot_id: string;
  pid: number;
  /** Start in clock ticks since boot; empty where the system does not tell. */
  pid_started: string;
}

/** What a name tells of its process. */
export interface TempOwner {
  /** Digest of the host. */
  place: string;
  /** Digest of the boot. */
  boot: string;
  pid: number;
  pid_started: string;
}

const OWNED = /^([0-9a-f]{8})-([0-9a-f]{8})-([1-9]\d{0,9})-(\d{0,20})-./;

/** The owner as names carry it. */
export function tempOwner({ host, boot_id, pid, pid_started }: ProcessIdentity): TempOwner {
  return { place: digest(host), boot: digest(boot_id), pid, pid_started };
}

/** `<place>-<boot>-<pid>-<start>-<id>` */
export function tempName({ place, boot, pid, pid_started }: TempOwner, id: string): string {
  return `${place}-${boot}-${pid}-${pid_started}-${id}`;
}

/** The owner that a name carries; `null` when it carries none (a bare id). */
function ownerOf(name: string): TempOwner | null {
  const [, place, boot, pid, started] = OWNED.exec(name) ?? [];
  if (place === undefined || boot === undefined || pid === undefined || started === undefined) return null;
  return { place, boot, pid: Number(pid), pid_started: started };
}

/**
 * Whether the process that made this temp file is certainly dead, as seen by `me`. `isRunning` is asked only about
 * processes whose ids mean the same here. A name without an owner, or with one from another place, is never judged dead.
 */
export function isLeftOver(name: string, me: TempOwner, isRunning: (owner: TempOwner) => boolean): boolean {
  const owner = ownerOf(name);
  if (owner === null || owner.place !== me.place) return false;
  return owner.boot !== me.boot || !isRunning(owner);
}

function digest(text: string): string {
  return sha256(text).slice(0, 8);
}
