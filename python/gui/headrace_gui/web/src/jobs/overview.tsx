// Where a job stands and why, when it starts or ends, its way, what it takes and what it makes.
import { api } from "../api";
import { Notice } from "../components/notice";
import { isClosed } from "../components/status";
import { Sentence, Time } from "../components/time";
import { bytes, count, duration } from "../format";
import type { Job } from "../live";
import { Link } from "../router";
import { Inputs, Outputs } from "./data";
import { Gantt } from "./gantt";
import { ProgressBar } from "./head";
import { useFresh, useProgress, useWhen } from "./live-job";

const RUNS = "MODEL_EXEC:RUNNING";

export function Overview({ job }: { job: Job }) {
  return (
    <>
      <Now job={job} />
      <div class="two">
        <Facts job={job} />
        <Gantt job={job} />
      </div>
      <div class="halves">
        <Inputs job={job} />
        <Outputs job={job} />
      </div>
    </>
  );
}

/** How far it is, when it starts or ends, and what is in the way. */
function Now({ job }: { job: Job }) {
  const when = useWhen(job);
  const progress = useProgress(job);
  const open = !isClosed(job.status);
  if (job.status === "CLOSED:COMPLETED") return null;
  const percent = progress?.attempt === job.attempt ? progress.percent : null;
  return (
    <section class="panel job-now" aria-label="Now">
      {percent !== null && percent !== undefined && (
        <ProgressBar percent={percent} left={open ? (progress?.seconds_left ?? null) : null} />
      )}
      {open && (
        <p class="job-when">
          {when ? <Sentence text={when.sentence} /> : <span class="quiet">…</span>}
          {when?.basis && <span class="fine"> {when.basis}</span>}
        </p>
      )}
      {job.status !== RUNS && <Why job={job} moved={when?.made ?? ""} />}
    </section>
  );
}

/** What is in the way of a job that waits, or what one that failed most likely failed of. */
function Why({ job, moved }: { job: Job; moved: string }) {
  const why = useFresh(
    job,
    "why",
    (signal) => api.get("/api/v1/jobs/{job}/why", { path: { job: job.id }, signal }),
    moved,
  );
  if (why.error) return <Notice error={why.error} onRetry={why.again} />;
  if (!why.value) return <p class="quiet">…</p>;
  const { sentence, hint, causes = [], change, position, triage } = why.value;
  const set = Object.entries(change?.set ?? {});
  const others = causes.slice(1).filter((each) => each.sentence !== change?.sentence);
  const lines = triage?.lines ?? []; // the API leaves out what is empty
  return (
    <div class="why">
      {!isClosed(job.status) && (
        <p>
          <strong>
            <Sentence text={sentence} />
          </strong>
          {position && <span class="fine"> Place {position} in the queue.</span>}
        </p>
      )}
      {others.map((each) => (
        <p key={each.cause + each.sentence} class="quiet">
          <Sentence text={each.sentence} />
        </p>
      ))}
      {change && (
        <p class="change">
          Smallest change: {change.sentence}
          {set.length > 0 && (
            <code>{set.map(([key, value]) => `--set ${key}=${String(value)}`).join(" ")}</code>
          )}
        </p>
      )}
      {hint && hint !== triage?.hint && (
        <p>
          Next: <Sentence text={hint} />
        </p>
      )}
      {triage && (
        <div class="triage">
          <p>
            <span class="fault">{triage.fault.toLowerCase().replaceAll("_", " ")}</span>{" "}
            {triage.hint}
          </p>
          {lines.length > 0 && (
            <pre class="last-lines" role="region" tabIndex={0} aria-label="Last lines">
              {lines.map((line, at) => (
                <div key={at} class={line === triage.line ? "telling" : ""}>
                  {line || " "}
                </div>
              ))}
            </pre>
          )}
        </div>
      )}
    </div>
  );
}

function Facts({ job }: { job: Job }) {
  const { cpus, memory, gpus, generic } = job.resources;
  const more = Object.entries(generic ?? {}).map(([name, number]) => `${String(number)} ${name}`);
  const asks = [count(cpus, "CPU"), bytes(memory), gpus ? count(gpus, "GPU") : "", ...more];
  const nodes = [...new Set(job.allocation.map((share) => share.node))];
  const facts: [string, preact.ComponentChildren][] = [
    ["Kind", job.kind],
    ["Owner", job.owner],
    ["Submitted", <Time at={job.created} />],
    ["Asks", `${asks.filter(Boolean).join(", ")}${job.tasks ? " a task" : ""}`],
    ["Priority", `${job.priority}${job.priority_class ? ` (${job.priority_class})` : ""}`],
    ["Attempt", `${job.attempt}${job.retries ? ` (${count(job.retries, "retry")})` : ""}`],
    ["Nodes", nodes.length ? nodes.join(", ") : "–"],
  ];
  if (job.deadline) facts.push(["Deadline", <Time at={job.deadline} />]);
  if (job.spec?.limits?.time) facts.push(["Time limit", job.spec.limits.time]);
  if (job.peak_memory) facts.push(["Peak memory", bytes(job.peak_memory)]);
  if (job.exit_code !== null) facts.push(["Exit code", String(job.exit_code)]);
  if (isClosed(job.status)) {
    const took = (Date.parse(job.entered) - Date.parse(job.created)) / 1000;
    facts.push(["From submit to end", duration(took)]);
  }
  for (const [name, ids] of [
    ["Retry of", job.origin ? [job.origin] : []],
    ["After", job.after],
    ["Made for", job.parents ?? []],
    ["Derived by", job.children ?? []],
  ] as const) {
    if (ids.length) facts.push([name, <JobLinks ids={ids} />]);
  }
  return (
    <section class="panel" aria-labelledby="facts">
      <h2 id="facts">The job</h2>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
    </section>
  );
}

function JobLinks({ ids }: { ids: readonly string[] }) {
  return (
    <>
      {ids.map((id, at) => (
        <>
          {at > 0 && ", "}
          <Link to={`/jobs/${id}`} class="mono">
            {id}
          </Link>
        </>
      ))}
    </>
  );
}
