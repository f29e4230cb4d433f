// The same for many jobs: what came of it is told of each.
import { useState } from "preact/hooks";
import { type ApiError, asApiError } from "../api";
import { Dialog } from "../components/dialog";
import { count } from "../format";
import type { Job } from "../live";
import { doTo, LABELS, type Verb } from "./verbs";

const VERBS: readonly Verb[] = ["stop", "cancel", "hold", "release", "retry"];
const AT_ONCE = 6;

interface Run {
  verb: Verb;
  jobs: readonly Job[];
  outcomes: ReadonlyMap<string, ApiError | null>;
}

export function Bulk({ jobs, onClear }: { jobs: readonly Job[]; onClear: () => void }) {
  const [run, setRun] = useState<Run | null>(null);
  const begin = async (verb: Verb) => {
    const outcomes = new Map<string, ApiError | null>();
    setRun({ verb, jobs, outcomes });
    const left = [...jobs];
    const worker = async () => {
      for (let job = left.shift(); job; job = left.shift()) {
        try {
          await doTo(job.id, verb);
          outcomes.set(job.id, null);
        } catch (error) {
          outcomes.set(job.id, asApiError(error));
        }
        setRun({ verb, jobs, outcomes: new Map(outcomes) });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  };
  return (
    <div class="row bulk" role="toolbar" aria-label="For the marked jobs">
      <strong>{count(jobs.length, "job")} marked</strong>
      {VERBS.map((verb) => (
        <button
          key={verb}
          type="button"
          class={`button ${verb === "cancel" ? "danger" : ""}`}
          onClick={() => void begin(verb)}
        >
          {LABELS[verb].label}
        </button>
      ))}
      <button type="button" class="button" onClick={onClear}>
        Unmark
      </button>
      {run && <Outcomes run={run} onClose={() => setRun(null)} />}
    </div>
  );
}

function Outcomes({ run, onClose }: { run: Run; onClose: () => void }) {
  const { verb, jobs, outcomes } = run;
  const bad = [...outcomes.values()].filter(Boolean).length;
  const pending = jobs.length - outcomes.size;
  const said = [
    pending && `${pending} to do`,
    `${outcomes.size - bad} done`,
    bad && `${bad} refused`,
  ];
  return (
    <Dialog title={`${LABELS[verb].label} ${count(jobs.length, "job")}`} onClose={onClose}>
      <p role="status">{said.filter(Boolean).join(", ")}</p>
      <ul class="outcomes">
        {jobs.map((job) => {
          const outcome = outcomes.get(job.id);
          return (
            <li key={job.id}>
              <span>
                {job.name || job.id} <span class="fine mono">{job.id}</span>
              </span>
              {outcome === undefined && <span class="quiet">…</span>}
              {outcome === null && <span class="status good">{LABELS[verb].done}</span>}
              {outcome && (
                <span class="outcome-bad">
                  {outcome.detail}
                  {outcome.hint && <span>Next: {outcome.hint}</span>}
                </span>
              )}
            </li>
          );
        })}
      </ul>
    </Dialog>
  );
}
