// A calibration: live while its job runs, and what it came to.
import { useEffect } from "preact/hooks";
import "../evaluation/evaluation.css";
import "./calibration.css";
import { api } from "../api";
import {
  type Best,
  type Bound,
  boundsOf,
  type Iteration,
  meant,
  partOf,
  readFound,
} from "../calibration/course";
import { ObjectivePlot, ParameterPlot } from "../calibration/plots";
import { Scores } from "../calibration/scores";
import { Icon } from "../components/icons";
import { Notice } from "../components/notice";
import { isClosed, StatusMark } from "../components/status";
import { brief } from "../evaluation/chart";
import { itemAddress, nameOf } from "../evaluation/result";
import { useLines, useSubject } from "../evaluation/subject";
import { useFetched } from "../fetched";
import { count } from "../format";
import type { Job } from "../live";
import { Link } from "../router";
import type { PageProps } from "../routes";

export default function CalibrationPage({ params }: PageProps) {
  const id = params.id ?? "";
  const { subject, error, again } = useSubject(id);
  const made = subject?.dataset ?? null;
  const found = useFetched(made, (signal) => readFound(made ?? "", signal));
  const origin = subject?.job ? null : (found.value?.dataset.origin?.job ?? null);
  const maker = useFetched(origin, (signal) =>
    api.get("/api/v1/jobs/{job}", { path: { job: origin ?? "" }, signal }),
  );
  const job = subject?.job ?? maker.value ?? null;
  const lines = useLines(made === null ? (subject?.job ?? null) : null, meant);
  const iterations = found.value?.iterations ?? lines.found;
  const settings = (job?.spec?.settings ?? {}) as { objective?: string; iterations?: number };
  const title = found.value ? nameOf(found.value.dataset) : (job?.name ?? id);
  useEffect(() => {
    document.title = `${title} · Headrace`;
  }, [title]);
  return (
    <>
      <p class="fine">
        <Link to="/evaluation">Evaluation</Link> / <span class="mono">{id}</span>
      </p>
      <div class="spread">
        <div class="row">
          <h1>{title}</h1>
          {subject?.job && (
            <StatusMark status={subject.job.status} held={subject.job.desired === "HOLD"} />
          )}
        </div>
        <Ways job={job} dataset={found.value?.dataset.id ?? null} />
      </div>
      {error && <Notice error={error} onRetry={again} />}
      {found.error && <Notice error={found.error} onRetry={found.again} />}
      {lines.error && <Notice error={lines.error} />}
      {subject?.job?.detail && (
        <div class={`notice ${subject.job.cause ? "bad" : ""}`}>
          <p>{subject.job.detail}</p>
        </div>
      )}
      {(subject || error) && (
        <Course
          objective={found.value?.best.objective ?? settings.objective ?? "kge"}
          iterations={iterations}
          of={
            found.value ? iterations.length : (lines.found.at(-1)?.of ?? settings.iterations ?? 0)
          }
          bounds={boundsOf(job)}
          best={found.value?.best ?? null}
          over={made !== null || Boolean(subject?.job && isClosed(subject.job.status))}
        />
      )}
    </>
  );
}

function Ways({ job, dataset }: { job: Job | null; dataset: string | null }) {
  return (
    <div class="row">
      {job && (
        <Link to={`/jobs/${job.id}`} class="button">
          The job
        </Link>
      )}
      {dataset &&
        ["parameters.zip", "report.html"].map((file) => (
          <a key={file} class="button" href={itemAddress(dataset, file)} download={file}>
            <Icon name="download" />
            {file}
          </a>
        ))}
    </div>
  );
}

interface CourseProps {
  objective: string;
  iterations: readonly Iteration[];
  of: number;
  bounds: Record<string, Bound>;
  best: Best | null;
  over: boolean;
}

function Course({ objective, iterations, of, bounds, best, over }: CourseProps) {
  const last = iterations.at(-1);
  const names = Object.keys(last?.values ?? bounds);
  const at = iterations.find((each) => each.number === last?.bestOf);
  return (
    <>
      <p role="status" class="quiet">
        {best
          ? `${count(best.iterations, "iteration")} by ${best.algorithm} (seed ${best.seed}): ${best.ended}.`
          : last
            ? `${iterations.length.toLocaleString()} of ${count(of, "iteration")}; best ${objective} ${brief(last.best)} of iteration ${last.bestOf ?? "–"}`
            : over
              ? "It ended without an iteration."
              : "No iteration has ended yet."}
      </p>
      {!over && of > 0 && <progress aria-label="Iterations" value={iterations.length} max={of} />}
      {best && <Scores best={best} />}
      <section class="panel" aria-labelledby="objective">
        <h2 id="objective">
          {objective} by iteration <span class="fine">of the train period</span>
        </h2>
        <ObjectivePlot name={objective} iterations={iterations} of={of} />
      </section>
      <section class="panel" aria-labelledby="parameters">
        <h2 id="parameters">
          Parameters{" "}
          <span class="fine">
            tried (points) and of the best so far (line), within their limits
          </span>
        </h2>
        {!Object.keys(bounds).length && iterations.length > 0 && (
          <p class="fine">The limits stand in the job, which you may not see.</p>
        )}
        <ul class="calibration-parameters">
          {names.map((name) => (
            <li key={name}>
              <h3>{name}</h3>
              <Within bound={bounds[name]} value={at?.values[name]} />
              <ParameterPlot name={name} bound={bounds[name]} iterations={iterations} of={of} />
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

/** The best value in words; one at a limit is worth a second look. */
function Within({ bound, value }: { bound: Bound | undefined; value: number | undefined }) {
  const part = bound && value !== undefined ? partOf(bound, value) : 0.5;
  return (
    <p class="fine num">
      best {brief(value)}
      {bound &&
        ` within ${brief(bound.min)} to ${brief(bound.max)}${bound.log ? ", log scale" : ""}`}
      {bound?.init !== undefined && `, initial ${brief(bound.init)}`}
      {(part < 0.01 || part > 0.99) && <b class="worse"> at its limit</b>}
    </p>
  );
}
