// Scores of an evaluation: medians, gauges on a map and in a table, one gauge's hydrograph; other
// results beside it. While its job runs: the scores as they come.
import { useEffect, useMemo } from "preact/hooks";
import "../evaluation/evaluation.css";
import { Notice } from "../components/notice";
import { Comparison } from "../evaluation/comparison";
import { GaugePanel } from "../evaluation/gauge";
import { Gauges } from "../evaluation/gauges";
import { Head } from "../evaluation/head";
import {
  type Metric,
  metricOf,
  nameOf,
  type Result,
  readResult,
  runsOf,
} from "../evaluation/result";
import { Scoring } from "../evaluation/scoring";
import { useSubject } from "../evaluation/subject";
import { useFetched } from "../fetched";
import { Link, usePlace } from "../router";
import type { PageProps } from "../routes";

export default function EvaluationPage({ params }: PageProps) {
  const id = params.id ?? "";
  const { subject, error, again } = useSubject(id);
  const job = subject?.job ?? null;
  const first = subject?.dataset ?? null;
  const others = (usePlace().query.get("with") ?? "").split(",").filter(Boolean);
  const results = useFetched(first === null ? null : [first, ...others].join(" "), (signal) =>
    Promise.all([first ?? "", ...others].map((each) => readResult(each, signal))),
  );
  const shown = results.value?.[0]?.dataset;
  const title = shown ? nameOf(shown) : job?.name;
  useEffect(() => {
    if (title) document.title = `${title} · Headrace`;
  }, [title]);
  return (
    <>
      <p class="fine">
        <Link to="/evaluation">Evaluation</Link> / <span class="mono">{id}</span>
      </p>
      {error && <Notice error={error} onRetry={again} />}
      {results.error && <Notice error={results.error} onRetry={results.again} />}
      {results.value ? (
        <Results results={results.value} />
      ) : job && first === null ? (
        <Scoring job={job} />
      ) : (
        !error && !results.error && <div class="loading" aria-busy="true" />
      )}
    </>
  );
}

function Results({ results }: { results: readonly Result[] }) {
  const { query } = usePlace();
  const runs = useMemo(() => runsOf(results), [results]);
  const metrics = useMemo(() => sharedMetrics(results), [results]);
  const run = runs.find((each) => each.label === query.get("run")) ?? runs[0];
  const [name, metric] = metrics.find(([each]) => each === query.get("metric")) ??
    metrics[0] ?? [null, null];
  const [first] = results;
  if (!first || !run || !name || !metric) return <p>The results have no metric in common.</p>;
  const unlike = results.filter((each) => each.said.unit !== first.said.unit);
  const gauge =
    query.get("gauge") ?? middleOf(run.result, (id) => metricOf(run, id, name), metric);
  return (
    <>
      <Head
        result={first}
        results={results}
        runs={runs}
        run={run}
        metrics={metrics}
        metric={name}
      />
      {unlike.length > 0 && (
        <div class="notice bad" role="alert">
          <p>
            {nameOf(first.dataset)} is in {first.said.unit},{" "}
            {unlike.map((each) => `${nameOf(each.dataset)} in ${each.said.unit}`).join(", ")}:
            metrics with units, and hydrographs, can't be compared.
          </p>
        </div>
      )}
      <Comparison runs={runs} metrics={metrics} chosen={[name, metric]} />
      <Gauges runs={runs} run={run} metrics={metrics} chosen={[name, metric]} gauge={gauge} />
      {gauge && (
        <GaugePanel
          id={gauge}
          runs={unlike.length ? runs.filter((each) => each.result === first) : runs}
          metrics={metrics}
          unit={first.said.unit}
        />
      )}
    </>
  );
}

function sharedMetrics(results: readonly Result[]): (readonly [string, Metric])[] {
  const [first, ...others] = results;
  return Object.entries(first?.said.metrics ?? {}).filter(([name]) =>
    others.every((each) => name in each.said.metrics),
  );
}

/** The gauge that is shown before one is chosen: the one in the middle tells more than the best. */
function middleOf(
  result: Result,
  value: (id: string) => number | null,
  metric: Metric,
): string | null {
  const found = result.said.locations
    .flatMap(({ id }) => {
      const at = value(id);
      return at === null ? [] : [[id, at] as const];
    })
    .sort(([, a], [, b]) => (metric.better === "lower" ? b - a : a - b));
  return found[Math.floor(found.length / 2)]?.[0] ?? result.said.locations[0]?.id ?? null;
}
