// A job as it was read, and as it is told live.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, api, type Schemas } from "../api";
import { isClosed } from "../components/status";
import { type Fetched, useFetched } from "../fetched";
import { errorTold, follow, type Job } from "../live";

export interface LiveJob {
  job: Job | undefined;
  error: ApiError | null;
  again: () => void;
}

export function useJob(id: string): LiveJob {
  const read = useFetched(id, (signal) =>
    api.get("/api/v1/jobs/{job}", { path: { job: id }, signal }),
  );
  const [told, setTold] = useState<Job | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    setTold(null);
    setFailure(null);
    return follow({ topic: "jobs", jobs: [id] }, (message) => {
      if (message.type === "error") setFailure(errorTold(message));
      if (message.type === "job") setTold(message.job);
      if (message.type === "snapshot") setTold(message.jobs[0] ?? null);
    });
  }, [id, round]);
  const base = read.value;
  const news = told && told.id === id && base && told.version > base.version ? told : null;
  useEffect(() => {
    if (news) read.again();
  }, [news?.version]);
  const again = useCallback(() => {
    read.again();
    if (failure) setRound((n) => n + 1);
  }, [read.again, failure]);
  const error = read.error ?? failure;
  if (!base || !news) return { job: base, error, again };
  // What stands only where a job is shown alone is kept until it is read again.
  const { children, parents, shared, spec, tasks } = base;
  const alone = { children, parents, shared, spec, tasks } as Partial<Job>;
  return { job: { ...base, ...news, ...alone }, error, again };
}

/** Reads again at each change of a job; what is shown stays meanwhile. */
export function useFresh<T>(
  job: Job,
  part: string,
  read: (signal: AbortSignal) => Promise<T>,
  more = "",
): Fetched<T> {
  const fetched = useFetched(`${job.id} ${part}`, read);
  const now = `${job.version} ${job.desired} ${job.status} ${job.shared?.length ?? 0} ${more}`;
  const seen = useRef(now);
  useEffect(() => {
    if (seen.current === now) return;
    seen.current = now;
    fetched.again();
  }, [now]);
  return fetched;
}

export function useHistory(job: Job): Fetched<Schemas["History"]> {
  return useFresh(job, "history", (signal) =>
    api.get("/api/v1/jobs/{job}/history", { path: { job: job.id }, signal }),
  );
}

/** When it starts, told anew whenever that moves; null until it is told. */
export function useWhen(job: Job): Schemas["WhenView"] | null {
  const [when, setWhen] = useState<Schemas["WhenView"] | null>(null);
  const open = !isClosed(job.status);
  useEffect(() => {
    setWhen(null);
    if (!open) return;
    return follow({ topic: "when", job: job.id }, (message) => {
      if (message.type === "when") setWhen(message.when);
    });
  }, [job.id, open]);
  return when;
}

/** How far it is, as it is told; of one that is over as it was left. */
export function useProgress(job: Job): Schemas["ProgressView"] | null {
  const [progress, setProgress] = useState<Schemas["ProgressView"] | null>(null);
  useEffect(() => {
    setProgress(null);
    return follow({ topic: "progress", job: job.id }, (message) => {
      if (message.type === "progress") setProgress(message.progress);
    });
  }, [job.id, isClosed(job.status)]);
  return progress;
}
