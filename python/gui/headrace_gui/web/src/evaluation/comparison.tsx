// Runs side by side: medians over the gauges that all of them score, as `headrace evaluation
// compare` tells them, and how many gauges got better or worse.

import { useMemo } from "preact/hooks";
import { count } from "../format";
import { RunMark } from "./gauge";
import {
  change,
  common,
  type Metric,
  metricOf,
  quantile,
  type Run,
  shown,
  titled,
  valuesOf,
} from "./result";
import { Wide } from "./wide";

interface Props {
  runs: readonly Run[];
  metrics: readonly (readonly [string, Metric])[];
  chosen: readonly [string, Metric];
}

export function Comparison({ runs, metrics, chosen }: Props) {
  const gauges = useMemo(() => common(runs), [runs]);
  const several = runs.length > 1;
  return (
    <section class="panel" aria-labelledby="medians">
      <h2 id="medians">
        {several ? "Runs side by side" : "Summary"}{" "}
        <span class="fine">
          medians over {count(gauges.length, "gauge")}
          {several ? " that all runs score" : ""}
        </span>
      </h2>
      <Wide label="Medians over the gauges">
        <thead>
          <tr>
            <th scope="col">Run</th>
            {metrics.map(([name, metric]) => (
              <th key={name} scope="col" class={name === chosen[0] ? "chosen" : ""}>
                {titled(name, metric)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {runs.map((run, at) => (
            <tr key={run.label}>
              <th scope="row">
                <RunMark at={at} /> {run.label}
              </th>
              {metrics.map(([name, metric]) => {
                const values = valuesOf(run, gauges, name);
                const [low, high] = [quantile(values, 0.25), quantile(values, 0.75)];
                return (
                  <td
                    key={name}
                    class={name === chosen[0] ? "chosen" : ""}
                    title={`quartiles ${shown(metric, low)} and ${shown(metric, high)}, ${count(values.length, "gauge")}`}
                  >
                    {shown(metric, quantile(values, 0.5))}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </Wide>
      {several && (
        <ul class="evaluation-changes">
          {runs.slice(1).map((run) => (
            <li key={run.label}>
              <Changes first={runs[0] as Run} run={run} gauges={gauges} chosen={chosen} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Changes({
  first,
  run,
  gauges,
  chosen: [name, metric],
}: {
  first: Run;
  run: Run;
  gauges: readonly string[];
  chosen: readonly [string, Metric];
}) {
  const tally = { better: 0, worse: 0, same: 0, none: 0 };
  for (const id of gauges) {
    const [before, now] = [metricOf(first, id, name), metricOf(run, id, name)];
    if (before === null || now === null) tally.none += 1;
    else {
      const went = change(metric, before, now);
      tally[went > 0 ? "better" : went < 0 ? "worse" : "same"] += 1;
    }
  }
  const whole = Math.max(1, gauges.length);
  return (
    <>
      <span>
        {metric.title} of <b>{run.label}</b> against {first.label}:{" "}
        <span class="better">▲ {tally.better} better</span>,{" "}
        <span class="worse">▼ {tally.worse} worse</span>, {tally.same} the same
        {tally.none > 0 && `, ${tally.none} without a value`}
      </span>
      <span class="evaluation-balance" aria-hidden="true">
        <i class="better" style={{ width: `${(100 * tally.better) / whole}%` }} />
        <i class="worse" style={{ width: `${(100 * tally.worse) / whole}%` }} />
      </span>
    </>
  );
}
