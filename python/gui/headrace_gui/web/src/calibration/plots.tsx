// The objective and the parameters by iteration.
import { useMemo } from "preact/hooks";
import uPlot from "uplot";
import { axis, brief, Chart, type Options } from "../evaluation/chart";
import { colorOf } from "../theme";
import type { Bound, Iteration } from "./course";

const NO_LINE = () => null;
const STEPS = uPlot.paths.stepped?.({ align: 1 });
const WHOLE = (_: uPlot, ticks: number[]) =>
  ticks.map((tick) => (Number.isInteger(tick) ? String(tick) : ""));

interface ObjectiveProps {
  name: string;
  iterations: readonly Iteration[];
  /** How many there will be at most. */
  of: number;
}

export function ObjectivePlot({ name, iterations, of }: ObjectiveProps) {
  const data = useMemo<uPlot.AlignedData>(
    () => [
      iterations.map((each) => each.number),
      iterations.map((each) => each.score),
      iterations.map((each) => each.best),
    ],
    [iterations],
  );
  const failures = useMemo(() => failed(iterations), [iterations]);
  const options = (): Options => ({
    cursor: { drag: { x: true, y: false } },
    scales: { x: { time: false, range: () => [0, Math.max(1, of - 1)] } },
    series: [
      { label: "Iteration", value: (_, value) => brief(value) },
      {
        label: `${name} of the run`,
        stroke: colorOf("--line-1"),
        paths: NO_LINE,
        points: { show: true, size: 5, width: 1, fill: colorOf("--line-1") },
        value: (_, value) => brief(value),
      },
      {
        label: "Best so far",
        stroke: colorOf("--line-2"),
        width: 2,
        ...(STEPS ? { paths: STEPS } : {}),
        points: { show: false },
        value: (_, value) => brief(value),
      },
    ],
    axes: [
      { ...axis("Iteration"), values: WHOLE },
      { ...axis(name), size: 62 },
    ],
  });
  return (
    <>
      <Chart
        label={`${name} of the train period by iteration, and the best so far`}
        data={data}
        height={280}
        options={options}
        shape={`${name} ${of}`}
      />
      {failures && <p class="fine">{failures}</p>}
    </>
  );
}

function failed(iterations: readonly Iteration[]): string {
  const found = iterations.filter((each) => each.score === null);
  const last = found.at(-1);
  if (!last) return "";
  return `${found.length.toLocaleString()} of ${iterations.length.toLocaleString()} runs failed; the last, iteration ${last.number}: ${last.failure}`;
}

interface ParameterProps {
  name: string;
  bound: Bound | undefined;
  iterations: readonly Iteration[];
  of: number;
}

export function ParameterPlot({ name, bound, iterations, of }: ParameterProps) {
  const data = useMemo<uPlot.AlignedData>(() => {
    const at = new Map(iterations.map((each) => [each.number, each]));
    const best = (each: Iteration) =>
      each.bestOf === null ? null : (at.get(each.bestOf)?.values[name] ?? null);
    return [
      iterations.map((each) => each.number),
      iterations.map((each) => each.values[name] ?? null),
      iterations.map(best),
    ];
  }, [iterations, name]);
  const options = (): Options => ({
    legend: { show: false },
    cursor: { drag: { x: true, y: false } },
    scales: {
      x: { time: false, range: () => [0, Math.max(1, of - 1)] },
      y: {
        ...(bound ? { range: (): [number, number] => [bound.min, bound.max] } : {}),
        ...(bound?.log ? { distr: 3 as const } : {}),
      },
    },
    series: [
      {},
      {
        stroke: colorOf("--line-1"),
        paths: NO_LINE,
        points: { show: true, size: 4, width: 1, fill: colorOf("--line-1") },
      },
      {
        stroke: colorOf("--line-2"),
        width: 2,
        points: { show: false },
        ...(STEPS ? { paths: STEPS } : {}),
      },
    ],
    axes: [
      { ...axis(), size: 30, values: WHOLE },
      {
        ...axis(),
        size: 62,
        values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : brief(tick))),
      },
    ],
  });
  const within = bound ? ` between ${brief(bound.min)} and ${brief(bound.max)}` : "";
  return (
    <Chart
      label={`${name} by iteration${within}`}
      data={data}
      height={130}
      options={options}
      shape={`${name} ${of} ${bound?.min} ${bound?.max}`}
    />
  );
}
