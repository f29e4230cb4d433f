// How long a job was in each status: a bar each, on one axis of time.
import type { Schemas } from "../api";
import { useNow } from "../clock";
import { Notice } from "../components/notice";
import { isClosed, StatusMark, toneOf } from "../components/status";
import { Time } from "../components/time";
import { clock, duration } from "../format";
import type { Job } from "../live";
import { useHistory } from "./live-job";

type Phase = Schemas["PhaseView"];

export function Gantt({ job }: { job: Job }) {
  const way = useHistory(job);
  const phases = way.value?.phases ?? [];
  const attempts = [...new Set(phases.map((each) => each.attempt))];
  const newest = attempts.at(-1);
  const last = way.value?.history.at(-1);
  return (
    <section class="panel" aria-labelledby="way">
      <h2 id="way">Its way</h2>
      {way.error && <Notice error={way.error} onRetry={way.again} />}
      {attempts.length > 1 && (
        <details class="earlier">
          <summary>
            {attempts.length - 1} earlier attempt{attempts.length > 2 && "s"}
          </summary>
          {attempts.slice(0, -1).map((attempt) => (
            <div key={attempt}>
              <h3>Attempt {attempt}</h3>
              <Bars phases={phases.filter((each) => each.attempt === attempt)} />
            </div>
          ))}
        </details>
      )}
      <Bars phases={phases.filter((each) => each.attempt === newest)} />
      {last && isClosed(job.status) && (
        <p class="way-end row">
          <StatusMark status={job.status} />
          <Time at={job.entered} />
          <span class="fine">
            {last.event.toLowerCase().replaceAll("_", " ")}, by {last.user ?? last.by}
          </span>
        </p>
      )}
    </section>
  );
}

function Bars({ phases }: { phases: readonly Phase[] }) {
  const now = useNow();
  const first = phases[0];
  if (!first) return <div class="gantt-room" />;
  const begin = Date.parse(first.began);
  const endOf = (phase: Phase) =>
    phase.ended ? Date.parse(phase.ended) : Math.max(now, Date.parse(phase.began));
  const end = Math.max(...phases.map(endOf), begin + 1);
  const part = (ms: number) => `${(100 * (ms - begin)) / (end - begin)}%`;
  return (
    <div>
      <table class="gantt">
        <thead class="visually-hidden">
          <tr>
            <th scope="col">Status</th>
            <th scope="col">Began</th>
            <th scope="col">When</th>
            <th scope="col">How long</th>
          </tr>
        </thead>
        <tbody>
          {phases.map((phase) => (
            <tr key={phase.status + phase.began}>
              <th scope="row">
                <StatusMark status={phase.status} />
              </th>
              <td class="fine">
                <Time at={phase.began} short />
              </td>
              <td class="track">
                <div>
                  <span
                    class={`bar ${toneOf(phase.status)}`}
                    style={{
                      left: `min(${part(Date.parse(phase.began))}, 100% - 3px)`,
                      right: `calc(100% - ${part(endOf(phase))})`,
                    }}
                  />
                </div>
              </td>
              <td class="num end">{duration((endOf(phase) - Date.parse(phase.began)) / 1000)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="axis fine num" aria-hidden="true">
        <span>{clock(new Date(begin))}</span>
        <span>{clock(new Date(end))}</span>
      </p>
    </div>
  );
}
