// One gauge: its scores of each run, its hydrograph, and how its values are spread.

import { useMemo } from "preact/hooks";
import { Notice } from "../components/notice";
import { Table } from "../components/table";
import { useFetched } from "../fetched";
import { count } from "../format";
import { dayOf, Hydrograph, runColor } from "./hydrograph";
import { byId, type Metric, type Run, readPairs, scoreOf, shown, titled } from "./result";
import type { Named } from "./series";
import { DurationCurve, Scatter } from "./spread";
import { Wide } from "./wide";

interface Props {
  id: string;
  runs: readonly Run[];
  metrics: readonly (readonly [string, Metric])[];
  unit: string;
}

export function GaugePanel({ id, runs, metrics, unit }: Props) {
  const found = useFetched(`${id} ${runs.map((run) => run.label).join("|")}`, (signal) =>
    Promise.all(
      runs.map(async (run) => ({ label: run.label, pairs: await readPairs(run, id, signal) })),
    ),
  );
  const drawn = useMemo(
    () => (found.value ?? []).filter((each): each is Named => Boolean(each.pairs?.times.length)),
    [found.value],
  );
  const name = runs.map((run) => byId(run.result).get(id)?.name).find(Boolean) ?? "";
  return (
    <section class="panel evaluation-gauge" aria-labelledby="gauge">
      <h2 id="gauge">
        {id} <span class="quiet">{name}</span>
      </h2>
      <Scores id={id} runs={runs} metrics={metrics} />
      {found.error && <Notice error={found.error} onRetry={found.again} />}
      {drawn.length > 0 ? (
        <>
          <Hydrograph key={id} gauge={id} runs={drawn} unit={unit} />
          <div class="evaluation-pair">
            <div>
              <h3>Simulated over observed</h3>
              <Scatter gauge={id} runs={drawn} unit={unit} />
            </div>
            <div>
              <h3>Flow-duration curves</h3>
              <DurationCurve gauge={id} runs={drawn} unit={unit} />
            </div>
          </div>
          {drawn.map((each) => (
            <Values key={each.label} gauge={id} of={each} unit={unit} />
          ))}
        </>
      ) : found.value ? (
        <p class="quiet">
          The result keeps no series of this gauge: it is not scored, the result is of before
          Headrace kept them, or series.csv was full.
        </p>
      ) : (
        <div class="evaluation-waits" aria-busy="true" />
      )}
    </section>
  );
}

function Scores({ id, runs, metrics }: Omit<Props, "unit">) {
  return (
    <Wide label={`Scores at ${id}`}>
      <thead>
        <tr>
          <th scope="col">Run</th>
          <th scope="col">Pairs</th>
          {metrics.map(([name, metric]) => (
            <th key={name} scope="col">
              {titled(name, metric)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {runs.map((run, at) => {
          const of = scoreOf(run, id);
          return (
            <tr key={run.label}>
              <th scope="row">
                <RunMark at={at} /> {run.label}
              </th>
              <td>{of?.n.toLocaleString() ?? "–"}</td>
              {of?.note ? (
                <td colSpan={metrics.length} class="text">
                  {of.note}
                </td>
              ) : (
                metrics.map(([name, metric]) => (
                  <td key={name} title={of?.reasons?.[name]}>
                    {shown(metric, of?.scores[name])}
                  </td>
                ))
              )}
            </tr>
          );
        })}
      </tbody>
    </Wide>
  );
}

export function RunMark({ at }: { at: number }) {
  return <i class="evaluation-run" style={{ background: `var(${runColor(at)})` }} />;
}

/** The same as the hydrograph, in numbers. */
function Values({ gauge, of, unit }: { gauge: string; of: Named; unit: string }) {
  const { times, observed, simulated } = of.pairs;
  const rows = useMemo(
    () => times.map((time, at) => ({ time, observed: observed[at], simulated: simulated[at] })),
    [of],
  );
  return (
    <details>
      <summary>
        Values of {of.label}: {count(times.length, "pair")}, {unit}
      </summary>
      <div class="evaluation-values">
        <Table
          label={`Values of ${of.label} at ${gauge}, ${unit}`}
          rows={rows}
          keyOf={(row) => String(row.time)}
          columns={[
            { key: "time", head: "Time, UTC", width: "1fr", cell: (row) => dayOf(row.time) },
            {
              key: "observed",
              head: "Observed",
              width: "1fr",
              cell: (row) => row.observed,
              end: true,
            },
            {
              key: "simulated",
              head: "Simulated",
              width: "1fr",
              cell: (row) => row.simulated,
              end: true,
            },
          ]}
          card={(row) => `${dayOf(row.time)}: ${row.observed} seen, ${row.simulated} simulated`}
          empty="No values."
        />
      </div>
    </details>
  );
}
