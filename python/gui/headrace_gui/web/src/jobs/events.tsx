// All that happened to a job: who did what, when and why.
import type { Schemas } from "../api";
import { Notice } from "../components/notice";
import { StatusMark } from "../components/status";
import { Sentence, Time } from "../components/time";
import type { Job } from "../live";
import { useHistory } from "./live-job";

type Step = Schemas["HistoryView"];

export default function Events({ job }: { job: Job }) {
  const way = useHistory(job);
  const steps = way.value?.history ?? [];
  return (
    <section class="panel" aria-labelledby="events">
      <h2 id="events">Events</h2>
      {way.error && <Notice error={way.error} onRetry={way.again} />}
      <ol class="events">
        {steps.map((step, at) => (
          <li key={`${step.at} ${at}`}>
            <Time at={step.at} />
            <span>
              {step.from === step.to ? (
                <strong>{wordOf(step)}</strong>
              ) : (
                <StatusMark status={step.to} />
              )}
            </span>
            <span>
              {step.from !== step.to && <>{wordOf(step)}, </>}by {step.user ?? step.by}
              <span class="fine">{more(step)}</span>
              {step.detail && (
                <p class="quiet">
                  <Sentence text={step.detail} />
                </p>
              )}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function wordOf(step: Step): string {
  return step.event.toLowerCase().replaceAll("_", " ");
}

function more({ attempt, nodes, cause, exit_code }: Step): string {
  const told = [
    attempt > 1 ? `attempt ${attempt}` : "",
    nodes?.length ? `nodes ${nodes.join(", ")}` : "",
    cause ?? "",
    exit_code !== null && exit_code !== undefined ? `exit code ${exit_code}` : "",
  ].filter(Boolean);
  return told.length ? ` · ${told.join(" · ")}` : "";
}
