// What somebody types on the page of a new job: kept in this tab, whatever happens to the page.
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api";
import { sha256Of } from "../datasets/hashing";
import { session } from "../session";
import { Store, useStore } from "../store";
import { writeJob } from "./text";

export interface TravellingFile {
  name: string;
  sha256: string;
  /** base64 */
  content: string;
  size: number;
}

export interface Draft {
  text: string;
  /** The contents of those that `files` names in the text. */
  files: Record<string, TravellingFile>;
  /** The job that it was made from; "" for none. */
  from: string;
}

export const FILE_BYTES = 1 << 20;
export const FILES_BYTES = 4 << 20;

const FIRST = writeJob({
  headrace: 1,
  kind: "command",
  name: "hello",
  command: ["echo", "hello"],
  resources: { cpus: "500m", memory: "256MiB" },
  limits: { time: "10m" },
});

const EMPTY: Draft = { text: FIRST, files: {}, from: "" };
const drafts = new Store<Draft>(EMPTY);
let owner: string | null = null;

const keyOf = () => `headrace-new-job ${owner}`;

/** Another user who signs in in the same tab gets a draft of their own. */
function load(): void {
  const user = session.get().me?.name ?? null;
  if (user === owner || user === null) return;
  owner = user;
  try {
    drafts.set((JSON.parse(sessionStorage.getItem(keyOf()) ?? "null") as Draft | null) ?? EMPTY);
  } catch {
    drafts.set(EMPTY);
  }
}

/** Keep a draft, or what becomes of the one that is kept now. */
export function keepDraft(next: Draft | ((now: Draft) => Draft)): void {
  load();
  const draft = typeof next === "function" ? next(drafts.get()) : next;
  drafts.set(draft);
  try {
    sessionStorage.setItem(keyOf(), JSON.stringify(draft));
  } catch {
    // The browser keeps some MB a page: without the files it has room.
    sessionStorage.setItem(keyOf(), JSON.stringify({ ...draft, files: {} }));
  }
}

export function dropDraft(): void {
  sessionStorage.removeItem(keyOf());
  drafts.set(EMPTY);
}

export function useDraft(): [Draft, typeof keepDraft] {
  load();
  return [useStore(drafts), keepDraft];
}

/** The value as it was when it last stood still. */
export function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

/** The job as the API takes it: files with their contents. What is not picked stays a name. */
export function asked(job: Record<string, unknown>, files: Draft["files"]) {
  if (!Array.isArray(job.files)) return job;
  const filled = job.files.map((each: unknown) => {
    const file = typeof each === "string" ? files[each] : undefined;
    return file ? { name: file.name, sha256: file.sha256, content: file.content } : each;
  });
  return { ...job, files: filled };
}

export async function readFile(file: File): Promise<TravellingFile> {
  if (file.size > FILE_BYTES) {
    throw new ApiError(
      0,
      "TOO_LARGE",
      `${file.name} is larger than 1 MiB, the most of a file that travels with a job.`,
      "make a dataset of it, and name that as an input",
    );
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  const sha256 = await sha256Of(file);
  return { name: file.name, sha256, content: base64(bytes), size: file.size };
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}
