// The queue: who waits for nodes, in order, and when each is foreseen to start.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Schemas } from "../api";
import { useNow } from "../clock";
import { Notice } from "../components/notice";
import { bytes, count, dateTime, duration } from "../format";
import { follow, type Job } from "../live";
import { Link } from "../router";
import { type OpenJobs, QUEUED } from "./open";

type When = Schemas["WhenView"];

/** Of so many the place and start are followed. */
const FOLLOWED = 20;
const HOUR_MS = 3_600_000;

/** A point of priority counts as an hour of waiting; fair share is known to the scheduler alone. */
const turn = (job: Job) => Date.parse(job.entered) - job.priority * HOUR_MS;

export function Queue({ open }: { open: OpenJobs }) {
  const waiting = useMemo(
    () =>
      [...open.jobs.values()]
        .filter((job) => job.status === QUEUED)
        .sort((a, b) => turn(a) - turn(b)),
    [open.jobs],
  );
  const first = waiting.slice(0, FOLLOWED);
  const whens = useWhens(first.map((job) => job.id));
  const place = (job: Job) => whens.get(job.id)?.position ?? Number.POSITIVE_INFINITY;
  const rows = first.toSorted((a, b) => place(a) - place(b) || turn(a) - turn(b));
  return (
    <section class="panel" aria-labelledby="queue">
      <div class="spread">
        <h2 id="queue">Queue</h2>
        <span class="fine">
          {open.known && (waiting.length ? `${count(waiting.length, "job")} wait` : "")}
          {open.more && " or more"}
        </span>
      </div>
      {open.error && <Notice error={open.error} />}
      {rows.length === 0 ? (
        <p class="quiet cluster-none">{open.known ? "No job waits for nodes." : "Loading …"}</p>
      ) : (
        <ol class="cluster-queue" aria-label="Jobs that wait for nodes">
          {rows.map((job) => (
            <QueueRow key={job.id} job={job} when={whens.get(job.id)} />
          ))}
        </ol>
      )}
      {waiting.length > rows.length && (
        <p class="fine">
          {count(waiting.length - rows.length, "more job")} behind them:{" "}
          <Link to="/jobs?show=wait">all that wait</Link>
        </p>
      )}
    </section>
  );
}

function QueueRow({ job, when }: { job: Job; when: When | undefined }) {
  return (
    <li>
      <span class="cluster-place num" title="Place in the queue">
        {job.desired === "HOLD" ? "held" : (when?.position ?? "–")}
      </span>
      <span class="cluster-queued">
        <Link to={`/jobs/${job.id}`}>{job.name || job.id}</Link>{" "}
        <span class="fine">
          {job.owner} · {count(job.resources.cpus, "CPU")}, {bytes(job.resources.memory)}
        </span>
      </span>
      <Start when={when} />
    </li>
  );
}

function Start({ when }: { when: When | undefined }) {
  const now = useNow();
  if (!when) return <span class="fine">…</span>;
  if (!when.at) return <span class="fine cluster-start">{when.sentence}</span>;
  const inSeconds = (Date.parse(when.at) - now) / 1000;
  const range =
    when.low && when.high ? `; between ${dateTime(when.low)} and ${dateTime(when.high)}` : "";
  return (
    <span class="cluster-start" title={`${when.at}${range}. ${when.sentence}`}>
      starts {inSeconds > 5 ? `in about ${duration(inSeconds)}` : "any moment"}{" "}
      <time class="fine num" dateTime={when.at}>
        {dateTime(when.at)}
      </time>
    </span>
  );
}

/** What the scheduler foresees of these jobs, as it is told. */
function useWhens(ids: readonly string[]): ReadonlyMap<string, When> {
  const [whens, setWhens] = useState<ReadonlyMap<string, When>>(new Map());
  const followed = useRef(new Map<string, () => void>());
  useEffect(() => {
    for (const [id, unfollow] of followed.current) {
      if (ids.includes(id)) continue;
      unfollow();
      followed.current.delete(id);
      setWhens((old) => new Map([...old].filter(([each]) => each !== id)));
    }
    for (const id of ids) {
      if (followed.current.has(id)) continue;
      const unfollow = follow({ topic: "when", job: id }, (message) => {
        if (message.type === "when") setWhens((old) => new Map(old).set(id, message.when));
      });
      followed.current.set(id, unfollow);
    }
  }, [ids.join(" ")]);
  useEffect(
    () => () => {
      for (const unfollow of followed.current.values()) unfollow();
      followed.current.clear();
    },
    [],
  );
  return whens;
}
