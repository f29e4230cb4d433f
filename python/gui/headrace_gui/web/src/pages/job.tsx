// One job: what it is, where it stands and why, its way so far, its output.
import { useEffect, useState } from "preact/hooks";
import "./job.css";
import { ActionButton } from "../action";
import { api, type Schemas } from "../api";
import { Notice } from "../components/notice";
import { isClosed, StatusMark } from "../components/status";
import { toast } from "../components/toasts";
import { type Fetched, useFetched } from "../fetched";
import { bytes, clock, count, dateTime, duration } from "../format";
import { Logs } from "../jobs/logs";
import { doTo, LABELS, offers } from "../jobs/verbs";
import { follow, type Job } from "../live";
import { Link, navigate } from "../router";
import type { PageProps } from "../routes";

export default function JobPage({ params }: PageProps) {
  const id = params.job ?? "";
  const read = useFetched(id, (signal) =>
    api.get("/api/v1/jobs/{job}", { path: { job: id }, signal }),
  );
  const job = useLive(id, read);
  useEffect(() => {
    if (job) document.title = `${job.name || job.id} · Headrace`;
  }, [job?.name, job?.id]);
  if (!job) {
    if (read.error) return <Notice error={read.error} onRetry={read.again} />;
    return <div class="loading" aria-busy="true" />;
  }
  return (
    <>
      <Head job={job} />
      <div class="two">
        <Facts job={job} />
        <Way job={job} />
      </div>
      {!job.tasks && <Logs job={job} />}
    </>
  );
}

/** The job as it was read, and as it is told live. */
function useLive(id: string, read: Fetched<Job>): Job | undefined {
  const [told, setTold] = useState<Job | null>(null);
  useEffect(() => {
    setTold(null);
    return follow({ topic: "jobs", jobs: [id] }, (message) => {
      if (message.type === "job") setTold(message.job);
      if (message.type === "snapshot") setTold(message.jobs[0] ?? null);
    });
  }, [id]);
  if (!read.value || !told || told.version < read.value.version) return read.value;
  return { ...read.value, ...told };
}

function Head({ job }: { job: Job }) {
  return (
    <div class="job-head">
      <p class="fine">
        <Link to="/jobs">Jobs</Link> / <span class="mono">{job.id}</span>
      </p>
      <div class="spread">
        <div class="row">
          <h1>{job.name || job.id}</h1>
          <StatusMark status={job.status} held={job.desired === "HOLD"} />
        </div>
        <div class="row">
          {offers(job).map((verb) => (
            <ActionButton
              key={verb}
              kind={verb === "cancel" ? "danger" : "plain"}
              pending={LABELS[verb].pending}
              done={`The job ${LABELS[verb].done}.`}
              work={async () => {
                const shown = await doTo(job.id, verb);
                toast(`${job.name || job.id} ${LABELS[verb].done}.`);
                if (shown !== job.id) navigate(`/jobs/${shown}`);
              }}
            >
              {LABELS[verb].label}
            </ActionButton>
          ))}
        </div>
      </div>
      {job.detail && (
        <div class={`notice ${job.cause ? "bad" : ""}`}>
          <p>
            {job.detail}
            {job.cause && <span class="fine"> {job.cause}</span>}
          </p>
        </div>
      )}
      {!isClosed(job.status) && job.status !== "MODEL_EXEC:RUNNING" && <Why job={job} />}
    </div>
  );
}

/** What is in the way of a job that does not run. */
function Why({ job }: { job: Job }) {
  const why = useFetched(`${job.id} ${job.version}`, (signal) =>
    api.get("/api/v1/jobs/{job}/why", { path: { job: job.id }, signal }),
  );
  if (!why.value?.sentence) return null;
  return (
    <div class="notice">
      <div>
        <p>{why.value.sentence}</p>
        {why.value.hint && <p class="hint">Next: {why.value.hint}</p>}
      </div>
    </div>
  );
}

function Facts({ job }: { job: Job }) {
  const nodes = job.allocation.map((share) => share.node);
  const facts: [string, preact.ComponentChildren][] = [
    ["Kind", job.kind],
    ["Owner", job.owner],
    ["Submitted", dateTime(job.created)],
    ["Asks", `${count(job.resources.cpus, "CPU")}, ${bytes(job.resources.memory)}`],
    ["Attempt", String(job.attempt)],
    ["Nodes", nodes.length ? [...new Set(nodes)].join(", ") : "–"],
  ];
  if (job.peak_memory) facts.push(["Peak memory", bytes(job.peak_memory)]);
  if (job.exit_code !== null) facts.push(["Exit code", String(job.exit_code)]);
  if (job.origin) {
    facts.push(["Retry of", <Link to={`/jobs/${job.origin}`}>{job.origin}</Link>]);
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

function Way({ job }: { job: Job }) {
  const way = useFetched(`${job.id} ${job.version}`, (signal) =>
    api.get("/api/v1/jobs/{job}/history", { path: { job: job.id }, signal }),
  );
  const [last, setLast] = useState<Schemas["History"] | null>(null);
  useEffect(() => {
    if (way.value) setLast(way.value);
  }, [way.value]);
  const phases = last?.phases ?? [];
  return (
    <section class="panel" aria-labelledby="way">
      <h2 id="way">Its way</h2>
      {way.error && <Notice error={way.error} onRetry={way.again} />}
      <ol class="way">
        {(last?.history ?? [])
          .filter((step) => step.from !== step.to || step.desired)
          .map((step) => {
            const phase = phases.find(
              (each) =>
                each.status === step.to && each.attempt === step.attempt && each.began === step.at,
            );
            return (
              <li key={`${step.at}${step.event}`}>
                <StatusMark status={step.to} />
                <span class="fine">
                  {step.event.toLowerCase().replaceAll("_", " ")}, by {step.user ?? step.by}
                </span>
                <span class="fine num" title={dateTime(step.at)}>
                  {clock(step.at)}
                  {phase?.ended && ` · ${duration(phase.seconds)}`}
                </span>
                {step.detail && <span class="told quiet">{step.detail}</span>}
              </li>
            );
          })}
      </ol>
    </section>
  );
}
