// The same for many jobs: how many are done, and of each that is refused why.
import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asApiError } from "../api";
import { Confirm } from "../components/confirm";
import { Dialog } from "../components/dialog";
import { toast } from "../components/toasts";
import { count } from "../format";
import { onceAFrame } from "../frame";
import type { Job } from "../live";
import { doTo, LABELS, type Verb } from "./verbs";

const VERBS: readonly Verb[] = ["stop", "cancel", "hold", "release", "retry"];
const AT_ONCE = 6;

interface Refused {
  job: Job;
  error: ApiError;
}

interface Run {
  verb: Verb;
  total: number;
  done: number;
  refused: readonly Refused[];
}

/** Tells how far it is once a frame; gives what came of it. */
async function doToAll(verb: Verb, jobs: readonly Job[], tell: (run: Run) => void): Promise<Run> {
  const refused: Refused[] = [];
  let done = 0;
  const now = () => ({ verb, total: jobs.length, done, refused: [...refused] });
  const [soon, never] = onceAFrame(() => tell(now()));
  const left = jobs.values();
  const worker = async () => {
    for (const job of left) {
      try {
        await doTo(job.id, verb);
        done += 1;
      } catch (error) {
        refused.push({ job, error: asApiError(error) });
      }
      soon();
    }
  };
  tell(now());
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  never();
  tell(now());
  return now();
}

function titleOf({ verb, total }: Run): string {
  return `${LABELS[verb].label} ${count(total, "job")}`;
}

function saidOf({ total, done, refused }: Run): string {
  const bad = refused.length;
  const pending = total - done - bad;
  return [pending && `${pending} to do`, `${done} done`, bad && `${bad} refused`]
    .filter(Boolean)
    .join(", ");
}

export function Bulk({ jobs, onClear }: { jobs: readonly Job[]; onClear: () => void }) {
  const [run, setRun] = useState<Run | null>(null);
  const [asked, setAsked] = useState<readonly Job[] | null>(null);
  /** Which run is shown; who closes its dialog does not see it again. */
  const shown = useRef<object | null>(null);
  useEffect(
    () => () => {
      shown.current = null;
    },
    [],
  );
  const begin = async (verb: Verb, chosen: readonly Job[]) => {
    const mine = {};
    shown.current = mine;
    const over = await doToAll(verb, chosen, (now) => {
      if (shown.current === mine) setRun(now);
    });
    if (shown.current !== mine) {
      toast(`${titleOf(over)}: ${saidOf(over)}.`, { bad: over.refused.length > 0 });
    }
  };
  const close = () => {
    shown.current = null;
    setRun(null);
  };
  return (
    <>
      {jobs.length > 0 && (
        <div class="row bulk" role="toolbar" aria-label="For the marked jobs">
          <strong>{count(jobs.length, "job")} marked</strong>
          {VERBS.map((verb) => (
            <button
              key={verb}
              type="button"
              class={`button ${verb === "cancel" ? "danger" : ""}`}
              onClick={() => (verb === "cancel" ? setAsked(jobs) : void begin(verb, jobs))}
            >
              {LABELS[verb].label}
            </button>
          ))}
          <button type="button" class="button" onClick={onClear}>
            Unmark
          </button>
        </div>
      )}
      {asked && (
        <Confirm
          title={`Cancel ${count(asked.length, "job")}?`}
          verb={`Cancel ${count(asked.length, "job")}`}
          pending="Canceling"
          keep="Keep"
          danger
          work={async () => void begin("cancel", asked)}
          onClose={() => setAsked(null)}
        >
          <p>What is canceled does not go on: a retry begins anew.</p>
        </Confirm>
      )}
      {run && <Outcomes run={run} onClose={close} />}
    </>
  );
}

function Outcomes({ run, onClose }: { run: Run; onClose: () => void }) {
  return (
    <Dialog title={titleOf(run)} onClose={onClose}>
      <p role="status">{saidOf(run)}</p>
      <ul class="outcomes">
        {run.refused.map(({ job, error }) => (
          <li key={job.id}>
            <span>
              {job.name || job.id} <span class="fine mono">{job.id}</span>
            </span>
            <span class="outcome-bad">
              {error.detail}
              {error.hint && <span>Next: {error.hint}</span>}
            </span>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
