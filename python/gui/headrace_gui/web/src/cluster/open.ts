// The jobs that are not over, live: what the queue and the nodes' bars are drawn of.
import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, api, asApiError } from "../api";
import { isClosed } from "../components/status";
import { follow, type Job, type Message } from "../live";

export const QUEUED = "MODEL_EXEC:AWAITING_ALLOCATION";
const HOLDING = "AWAITING_DATA,AWAITING_SCHEDULING,SCHEDULED,RUNNING,STOPPING,AWAITING_COLLECTION";
const SETTLE_MS = 100;
const MOST = 1000;

export interface OpenJobs {
  jobs: ReadonlyMap<string, Job>;
  /** Not all that wait could be told at once. */
  more: boolean;
  error: ApiError | null;
  known: boolean;
}

/** A snapshot holds 1,000 jobs; where there are more, those that matter here are asked for. */
async function fill(jobs: Map<string, Job>): Promise<boolean> {
  const [held, queued] = await Promise.all(
    [HOLDING, "AWAITING_ALLOCATION"].map((status) =>
      api.get("/api/v1/jobs", { query: { status, limit: MOST } }),
    ),
  );
  for (const job of [...(held?.jobs ?? []), ...(queued?.jobs ?? [])]) {
    const known = jobs.get(job.id);
    if (!known || known.version < job.version) jobs.set(job.id, job);
  }
  return Boolean(queued?.cursor);
}

export function useOpenJobs(): OpenJobs {
  const [shown, setShown] = useState<OpenJobs>({
    jobs: new Map(),
    more: false,
    error: null,
    known: false,
  });
  const timer = useRef<number | undefined>(undefined);
  useEffect(() => {
    let jobs = new Map<string, Job>();
    let more = false;
    let error: ApiError | null = null;
    let over = false;
    const soon = () => {
      timer.current ??= setTimeout(() => {
        timer.current = undefined;
        setShown({ jobs: new Map(jobs), more, error, known: true });
      }, SETTLE_MS);
    };
    const hear = (message: Message) => {
      if (message.type === "snapshot") {
        jobs = new Map(message.jobs.map((job) => [job.id, job]));
        more = false;
        if (message.more) {
          fill(jobs)
            .then((rest) => {
              more = rest;
            })
            .catch((failed: unknown) => {
              error = asApiError(failed);
            })
            .finally(() => {
              if (!over) soon();
            });
        }
      } else if (message.type === "job") {
        if (isClosed(message.job.status)) jobs.delete(message.job.id);
        else jobs.set(message.job.id, message.job);
      } else if (message.type === "error") {
        error = asApiError(new Error(message.detail));
      } else return;
      soon();
    };
    const unfollow = follow({ topic: "jobs" }, hear);
    return () => {
      over = true;
      clearTimeout(timer.current);
      timer.current = undefined;
      unfollow();
    };
  }, []);
  return shown;
}
