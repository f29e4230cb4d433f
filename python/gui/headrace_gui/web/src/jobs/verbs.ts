// What can be done to a job, and when it makes sense to offer it.
import { api } from "../api";
import { isClosed } from "../components/status";
import type { Job } from "../live";
import { newKey } from "../newjob/key";

export type Verb = "stop" | "restart" | "cancel" | "hold" | "release" | "retry";

const PATHS = {
  stop: "/api/v1/jobs/{job}:stop",
  restart: "/api/v1/jobs/{job}:restart",
  cancel: "/api/v1/jobs/{job}:cancel",
  hold: "/api/v1/jobs/{job}:hold",
  release: "/api/v1/jobs/{job}:release",
} as const;

export const LABELS: Record<Verb, { label: string; pending: string; done: string }> = {
  stop: { label: "Stop", pending: "Stopping", done: "stops" },
  restart: { label: "Restart", pending: "Restarting", done: "restarts" },
  cancel: { label: "Cancel", pending: "Canceling", done: "is canceled" },
  hold: { label: "Hold", pending: "Holding", done: "is held" },
  release: { label: "Release", pending: "Releasing", done: "may start" },
  retry: { label: "Retry", pending: "Submitting again", done: "runs again as a new job" },
};

/** Of retries that were not seen to succeed: who asks again means the same new job. */
const keys = new Map<string, string>();

async function retry(job: string): Promise<string> {
  const key = keys.get(job) ?? newKey();
  keys.set(job, key);
  const headers = { "Idempotency-Key": key };
  const { id } = await api.post("/api/v1/jobs/{job}:retry", { path: { job }, headers });
  keys.delete(job);
  return id;
}

/** Do it; gives the id of the job that shows it (of a retry the new one). */
export async function doTo(job: string, verb: Verb): Promise<string> {
  if (verb === "retry") return retry(job);
  await api.post(PATHS[verb], { path: { job } });
  return job;
}

export function offers(job: Job): Verb[] {
  if (job.status === "CLOSED:STOPPED") return ["restart", "cancel"];
  if (isClosed(job.status)) return ["retry"];
  const held = job.desired === "HOLD";
  const started = /:(SCHEDULED|RUNNING|STOPPING|AWAITING_COLLECTION)$/.test(job.status);
  return [
    ...(started ? [] : held ? (["release"] as const) : (["hold"] as const)),
    "stop",
    "cancel",
  ];
}
