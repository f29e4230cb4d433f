// Pairs of several runs brought together for plots.
import uPlot from "uplot";
import type { Pairs } from "./result";

export interface Named {
  label: string;
  pairs: Pairs;
}

type Rows = [number[], ...(number | null)[][]];

/** The usual distance of times, s. */
export function stepOf(times: readonly number[]): number {
  const apart = times
    .slice(1)
    .map((time, at) => time - (times[at] ?? 0))
    .sort((a, b) => a - b);
  return apart[Math.floor((apart.length - 1) / 2)] ?? 0;
}

/** With an empty row in each gap, so that no line goes over it. */
export function withGaps(times: readonly number[], ...values: readonly number[][]): Rows {
  const step = stepOf(times) * 1.5;
  const found: Rows = [[], ...values.map(() => [] as (number | null)[])];
  times.forEach((time, at) => {
    const before = times[at - 1];
    if (before !== undefined && time - before > step) {
      found[0].push(before + step / 1.5);
      for (const column of found.slice(1)) (column as (number | null)[]).push(null);
    }
    found[0].push(time);
    values.forEach((column, n) => {
      (found[n + 1] as (number | null)[]).push(column[at] ?? null);
    });
  });
  return found;
}

/** Times, what was observed, and each run. Runs of unlike times stand at their own. */
export function together(runs: readonly Named[]): uPlot.AlignedData {
  const seen = new Map<number, number>();
  for (const { pairs } of runs) {
    pairs.times.forEach((time, at) => {
      if (!seen.has(time)) seen.set(time, pairs.observed[at] ?? Number.NaN);
    });
  }
  const times = [...seen.keys()].sort((a, b) => a - b);
  const observed = times.map((time) => seen.get(time) ?? Number.NaN);
  return uPlot.join([
    withGaps(times, observed),
    ...runs.map(({ pairs }) => withGaps(pairs.times, pairs.simulated)),
  ]);
}

/** Values that a logarithm has. */
export function positive(data: uPlot.AlignedData): uPlot.AlignedData {
  const [times, ...lines] = data;
  return [
    times,
    ...lines.map((line) =>
      [...line].map((value) =>
        value !== null && value !== undefined && value <= 0 ? null : value,
      ),
    ),
  ] as uPlot.AlignedData;
}

/** Flow-duration curves: values from the highest on, over the share of time they are reached. */
export function durations(lines: readonly (readonly number[])[]): uPlot.AlignedData {
  return uPlot.join(
    lines.map((line) => {
      const sorted = [...line].sort((a, b) => b - a);
      return [sorted.map((_, at) => (100 * (at + 1)) / (sorted.length + 1)), sorted];
    }),
  );
}
