// What a calibration came to: scores before and after, in the period that was searched and in the
// one that the search never saw.

import { Fragment } from "preact";
import { Wide } from "../evaluation/wide";
import type { Best } from "./course";

const PERIODS = { train: "Train", validate: "Validation" } as const;

export function Scores({ best }: { best: Best }) {
  const periods = (["train", "validate"] as const).filter((each) => best.scored[each]);
  const metrics = metricsOf(best);
  const places = Object.keys(best.best.scores.train ?? {});
  return (
    <section class="panel" aria-labelledby="scores">
      <h2 id="scores">Before and after</h2>
      <p>{sentence(best)}</p>
      <Wide label="Scores of the initial and the best parameters">
        <thead>
          <tr>
            <th scope="col">Score</th>
            {periods.map((period) => (
              <th key={period} scope="col" colSpan={2}>
                {PERIODS[period]} <span class="fine">{days(best.scored[period])}</span>
              </th>
            ))}
          </tr>
          <tr>
            <td />
            {periods.map((period) => (
              <Fragment key={period}>
                <th scope="col">initial</th>
                <th scope="col">best</th>
              </Fragment>
            ))}
          </tr>
        </thead>
        <tbody>
          <tr class="chosen">
            <th scope="row">{best.objective} (the objective)</th>
            {periods.map((period) => (
              <Pair
                key={period}
                metric={best.objective}
                before={best.initial?.objective[period]}
                after={best.best.objective[period]}
              />
            ))}
          </tr>
          {places.flatMap((place) =>
            metrics.map((metric) => (
              <tr key={`${place} ${metric}`}>
                <th scope="row">
                  {metric} {places.length > 1 && <span class="fine">at {place}</span>}
                </th>
                {periods.map((period) => (
                  <Pair
                    key={period}
                    metric={metric}
                    before={best.initial?.scores[period]?.[place]?.[metric]}
                    after={best.best.scores[period]?.[place]?.[metric]}
                  />
                ))}
              </tr>
            )),
          )}
        </tbody>
      </Wide>
    </section>
  );
}

/** Metrics that are not better the higher they are: the nearer to this the better. */
const NEARER: Record<string, number> = {
  kge_alpha: 1,
  kge_beta: 1,
  kge_gamma: 1,
  pbias: 0,
  rmse: 0,
  mae: 0,
  volume_error: 0,
  peak_error: 0,
  peak_timing: 0,
};

interface PairProps {
  metric: string;
  before: number | null | undefined;
  after: number | null | undefined;
}

/** A score before and after, and whether it got better: the objective is not all that counts. */
function Pair({ metric, before, after }: PairProps) {
  const best = NEARER[metric];
  const loss = (value: number) => (best === undefined ? -value : Math.abs(value - best));
  const same = digits(before) === digits(after);
  const went =
    typeof before !== "number" || typeof after !== "number" || same
      ? null
      : loss(after) < loss(before)
        ? ("better" as const)
        : ("worse" as const);
  return (
    <>
      <td>{digits(before)}</td>
      <td class={went ?? ""}>
        {went && <span aria-hidden="true">{went === "better" ? "▲ " : "▼ "}</span>}
        {digits(after)}
        {went && <span class="visually-hidden"> {went}</span>}
      </td>
    </>
  );
}

function metricsOf(best: Best): string[] {
  const names = Object.values(best.best.scores.train ?? {}).flatMap((each) => Object.keys(each));
  const several = Object.keys(best.best.scores.train ?? {}).length > 1;
  return [...new Set(names)].filter((name) => several || name !== best.objective);
}

function days(period: [string, string] | undefined): string {
  return period ? `${period[0].slice(0, 10)} to ${period[1].slice(0, 10)}` : "";
}

export function digits(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return value.toFixed(Math.abs(value) >= 1000 ? 0 : 3).replace("-", "−");
}

/** What may be believed of it. */
function sentence(best: Best): string {
  const { objective } = best;
  const { train, validate: unseen } = best.best.objective;
  if (unseen === undefined) {
    return `There is no validation period: ${objective} ${digits(train)} is what the search fitted, and how the parameters do elsewhere is not known.`;
  }
  return `In the train period, which the search fitted, ${objective} is ${digits(train)}; in the validation period, which it never saw, ${digits(unseen)}. The second is what may be expected of other years.`;
}
