// How values are spread: simulated over observed, and flow-duration curves.
import { useMemo } from "preact/hooks";
import uPlot from "uplot";
import { colorOf } from "../theme";
import { axis, brief, Chart, type Options } from "./chart";
import { runColor } from "./hydrograph";
import { durations, type Named } from "./series";

interface Props {
  gauge: string;
  runs: readonly Named[];
  unit: string;
}

const HEIGHT = 300;
const NO_LINE = () => null;

export function Scatter({ gauge, runs, unit }: Props) {
  const data = useMemo(() => scattered(runs), [runs]);
  const options = (): Options => ({
    cursor: { drag: { x: false, y: false } },
    scales: {
      x: { time: false, range: (_, __, max) => [0, max * 1.03] },
      y: { range: (_, __, max) => [0, max * 1.03] },
    },
    series: [
      { label: `Observed, ${unit}`, value: (_, value) => brief(value) },
      {
        label: "The same",
        stroke: colorOf("--quiet"),
        dash: [6, 4],
        points: { show: false },
        value: (_, value) => brief(value),
      },
      ...runs.map((run, at) => ({
        label: run.label,
        stroke: colorOf(runColor(at)),
        paths: NO_LINE,
        points: { show: true, size: 4, width: 1 },
        value: (_: uPlot, value: number | null) => brief(value),
      })),
    ],
    axes: [axis(`Observed, ${unit}`), { ...axis(`Simulated, ${unit}`), size: 62 }],
  });
  return (
    <Chart
      label={`Scatter of ${gauge}: simulated over observed, ${unit}`}
      data={data}
      height={HEIGHT}
      options={options}
      shape={`${gauge} ${unit} ${runs.map((run) => run.label).join("|")}`}
    />
  );
}

/** Points by what was observed; the line on which both are the same. */
function scattered(runs: readonly Named[]): uPlot.AlignedData {
  const points = runs.map(({ pairs }) => {
    const order = pairs.observed.map((_, at) => at);
    order.sort((a, b) => (pairs.observed[a] ?? 0) - (pairs.observed[b] ?? 0));
    // uPlot's x must rise: the same flow seen twice stands a hair further on.
    let last = Number.NEGATIVE_INFINITY;
    const x = order.map((at) => {
      const seen = pairs.observed[at] ?? 0;
      last = seen > last ? seen : last + Math.max(1e-9, Math.abs(last) * 1e-9);
      return last;
    });
    return [x, order.map((at) => pairs.simulated[at] ?? null)] as uPlot.AlignedData;
  });
  const ends = points.flatMap(([x]) => [x[0] ?? 0, x[x.length - 1] ?? 0]);
  const line = [Math.min(...ends), Math.max(...ends)];
  return uPlot.join([[line, line], ...points]);
}

export function DurationCurve({ gauge, runs, unit }: Props) {
  const data = useMemo(
    () =>
      durations(
        [runs[0]?.pairs.observed ?? [], ...runs.map(({ pairs }) => pairs.simulated)].map((line) =>
          line.filter((value) => value > 0),
        ),
      ),
    [runs],
  );
  const options = (): Options => ({
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: false, range: [0, 100] }, y: { distr: 3 } },
    series: [
      { label: "Time exceeded", value: (_, value) => `${brief(value)} %` },
      ...["Observed", ...runs.map((run) => run.label)].map((label, at) => ({
        label,
        stroke: colorOf(at ? runColor(at - 1) : "--text"),
        width: 1.5,
        points: { show: false },
        value: (_: uPlot, value: number | null) => brief(value),
      })),
    ],
    axes: [axis("Share of time that is exceeded, %"), { ...axis(unit), size: 62 }],
  });
  return (
    <Chart
      label={`Flow-duration curves of ${gauge}, ${unit}, above 0`}
      data={data}
      height={HEIGHT}
      options={options}
      shape={`${gauge} ${unit} ${runs.map((run) => run.label).join("|")}`}
    />
  );
}
