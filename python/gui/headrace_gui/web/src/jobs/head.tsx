// What a job is called, where it stands, and what can be done to it.
import { useState } from "preact/hooks";
import { ActionButton } from "../action";
import { StatusMark } from "../components/status";
import { Sentence, Time } from "../components/time";
import { toast } from "../components/toasts";
import { count, duration } from "../format";
import type { Job } from "../live";
import { Link, navigate } from "../router";
import { ShareDialog } from "./share";
import { doTo, LABELS, offers } from "./verbs";

export function Head({ job, onChange }: { job: Job; onChange: () => void }) {
  const [sharing, setSharing] = useState(false);
  return (
    <header class="job-head">
      <p class="fine">
        <Link to="/jobs">Jobs</Link> / <span class="mono">{job.id}</span>
      </p>
      <div class="spread">
        <div class="row job-title">
          <h1>{job.name || job.id}</h1>
          <StatusMark status={job.status} held={job.desired === "HOLD"} />
          <span class="fine">
            since <Time at={job.entered} />
          </span>
        </div>
        <div class="row job-actions">
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
                else onChange();
              }}
            >
              {LABELS[verb].label}
            </ActionButton>
          ))}
          <Link class="button" to={`/new?from=${job.id}`}>
            Clone and change
          </Link>
          <button type="button" class="button" onClick={() => setSharing(true)}>
            Share
          </button>
        </div>
      </div>
      {job.detail && (
        <div class={`notice ${job.cause ? "bad" : ""}`}>
          <p>
            <Sentence text={job.detail} />
            {job.cause && <span class="fine"> {job.cause}</span>}
          </p>
        </div>
      )}
      {job.tasks && <TaskCounts tasks={job.tasks} />}
      {sharing && <ShareDialog job={job} onChange={onChange} onClose={() => setSharing(false)} />}
    </header>
  );
}

function TaskCounts({ tasks }: { tasks: NonNullable<Job["tasks"]> }) {
  const states = ["done", "running", "waiting", "failed"] as const;
  return (
    <p class="fine num">
      {count(tasks.total, "task")}:{" "}
      {states.map((state) => `${tasks[state].toLocaleString()} ${state}`).join(", ")}
    </p>
  );
}

/** How far it is: a bar, the part of the whole, and the time that is left. */
export function ProgressBar({ percent, left }: { percent: number; left: number | null }) {
  const said = `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
  return (
    <div class="progress">
      <progress aria-label="Progress" value={percent} max={100}>
        {said}
      </progress>
      <span class="num">
        {said}
        {left !== null && <span class="quiet"> · {duration(left)} left</span>}
      </span>
    </div>
  );
}
