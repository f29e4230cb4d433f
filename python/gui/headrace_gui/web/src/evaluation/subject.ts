// What an address names: a job that makes a result, or the result itself.
import { useEffect, useState } from "preact/hooks";
import { type ApiError, api, asApiError, ApiError as Problem } from "../api";
import { isClosed } from "../components/status";
import { useFetched } from "../fetched";
import { follow, type Job } from "../live";

const JOB = /^[0-9a-hjkmnp-tv-z]{16}$/;

export type Subject = { job: Job; dataset: string | null } | { job: null; dataset: string };

/** A job is followed to its end, then its result is named. */
export function useSubject(id: string): {
  subject: Subject | undefined;
  error: ApiError | null;
  again: () => void;
} {
  const read = useFetched(id, (signal) => jobOf(id, signal));
  const job = useLive(read.value ?? null);
  if (read.value === undefined)
    return { subject: undefined, error: read.error, again: read.again };
  if (read.value === null)
    return { subject: { job: null, dataset: id }, error: null, again: read.again };
  const at = job ?? read.value;
  const made = isClosed(at.status)
    ? (Object.values(at.outputs)[0] as string | undefined)
    : undefined;
  return { subject: { job: at, dataset: made ?? null }, error: read.error, again: read.again };
}

async function jobOf(id: string, signal: AbortSignal): Promise<Job | null> {
  if (!JOB.test(id)) return null;
  try {
    return await api.get("/api/v1/jobs/{job}", { path: { job: id }, signal });
  } catch (error) {
    if (asApiError(error).status === 404) return null; // a dataset whose name looks like one
    throw error;
  }
}

function useLive(read: Job | null): Job | null {
  const [told, setTold] = useState<Job | null>(null);
  useEffect(() => {
    setTold(null);
    if (!read || isClosed(read.status)) return;
    return follow({ topic: "jobs", jobs: [read.id] }, (message) => {
      if (message.type === "job") setTold(message.job);
      if (message.type === "snapshot") setTold(message.jobs[0] ?? null);
    });
  }, [read]);
  return read && told && told.version > read.version ? { ...read, ...told } : read;
}

/** What is told of a job's log. */
export interface Lines<T> {
  found: readonly T[];
  over: boolean;
  error: ApiError | null;
}

/** Lines of a worker's output that mean something, as they are written. */
export function useLines<T>(job: Job | null, meant: (line: string) => T | null): Lines<T> {
  const nothing: Lines<T> = { found: [], over: false, error: null };
  const [lines, setLines] = useState(nothing);
  const attempt = job?.attempt ?? 0;
  useEffect(() => {
    setLines(nothing);
    if (!job || attempt < 1) return;
    let rest = "";
    let frame = 0;
    let fresh: T[] = [];
    const show = () => {
      frame = 0;
      const told = fresh;
      fresh = [];
      setLines((old) => ({ ...old, found: [...old.found, ...told] }));
    };
    const stop = follow({ topic: "logs", job: job.id, attempt, stream: "out" }, (message) => {
      if (message.type === "log") {
        const parts = (rest + message.text).split("\n");
        rest = parts.pop() ?? "";
        for (const part of parts) {
          const found = meant(part);
          if (found !== null) fresh.push(found);
        }
        if (fresh.length) frame ||= requestAnimationFrame(show);
      }
      if (message.type === "end") setLines((old) => ({ ...old, over: true }));
      if (message.type === "error") {
        const { code, detail, hint } = message;
        setLines((old) => ({ ...old, error: new Problem(0, code, detail, hint) }));
      }
    });
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [job?.id, attempt]);
  return lines;
}
