// Results of evaluations: scores.json and the pairs of series.csv (docs/formats.md).
import { ApiError, addressOf, api, type Schemas, send } from "../api";

export interface Metric {
  title: string;
  unit: string;
  best: number;
  better: "higher" | "lower" | "nearer";
}

export interface RunScore {
  n: number;
  begin: string | null;
  end: string | null;
  scores: Record<string, number | null>;
  reasons?: Record<string, string>;
  note?: string;
  /** Which bytes of series.csv hold the pairs. */
  series?: [number, number];
}

export interface Gauge {
  id: string;
  name: string;
  lon: number | null;
  lat: number | null;
  runs: Record<string, RunScore>;
}

interface Scores {
  headrace_evaluation: 1;
  settings: { period?: [string, string]; warm_up_days?: number };
  unit: string;
  runs: string[];
  metrics: Record<string, Metric>;
  counts: { locations: number; scored: number };
  unreadable: string[];
  locations: Gauge[];
}

export type Dataset = Schemas["DatasetView"];

export interface Result {
  dataset: Dataset;
  said: Scores;
  /** The path of series.csv; null where there is none. */
  series: string | null;
}

/** One run of one result; `label` is unique among those that are shown. */
export interface Run {
  label: string;
  result: Result;
  name: string;
}

/** Pairs of one run at one gauge: seconds since 1970, and values. */
export interface Pairs {
  times: number[];
  observed: number[];
  simulated: number[];
}

/** The address of an item of a dataset, for `send` or a link. */
export function itemAddress(dataset: string, path: string): string {
  return addressOf("/api/v1/datasets/{dataset}/items/{path}", { dataset, path });
}

/** The items of a result by their file names. */
export async function filesOf(dataset: string, signal: AbortSignal): Promise<Map<string, string>> {
  const { items } = await api.get("/api/v1/datasets/{dataset}/items", {
    path: { dataset },
    query: { limit: 100 },
    signal,
  });
  return new Map(items.map(({ path }) => [path.slice(path.lastIndexOf("/") + 1), path]));
}

export function isOf(dataset: Dataset, format: string): void {
  if (dataset.format === format) return;
  throw new ApiError(
    0,
    "OTHER_FORMAT",
    `${dataset.title} is no result of that kind: its format is ${dataset.format || "not known"}, not ${format}.`,
  );
}

export async function readResult(id: string, signal: AbortSignal): Promise<Result> {
  const dataset = await api.get("/api/v1/datasets/{dataset}", { path: { dataset: id }, signal });
  isOf(dataset, "EVALUATION_RESULT");
  const files = await filesOf(dataset.id, signal);
  const path = files.get("scores.json");
  if (!path) throw new ApiError(0, "NOT_FOUND", `${dataset.title} has no scores.json.`);
  const said: Scores = await (await send(itemAddress(dataset.id, path), { signal })).json();
  return { dataset, said, series: files.get("series.csv") ?? null };
}

/** What people call a result: without the output and job that its title tells behind the name. */
export function nameOf({ title, output, origin }: Dataset): string {
  return (origin && title.split(`-${output}-${origin.job}`)[0]) || title;
}

/** All runs of results; those of several results have the result's name before theirs. */
export function runsOf(results: readonly Result[]): Run[] {
  const names = results.map((each) => nameOf(each.dataset));
  const unique = new Set(names).size === names.length;
  const called = (result: Result) => (unique ? nameOf(result.dataset) : result.dataset.title);
  return results.flatMap((result) =>
    result.said.runs.map((name) => ({
      result,
      name,
      label:
        results.length === 1
          ? name
          : result.said.runs.length === 1
            ? called(result)
            : `${called(result)}: ${name}`,
    })),
  );
}

export function scoreOf(run: Run, gauge: string): RunScore | undefined {
  return byId(run.result).get(gauge)?.runs[run.name];
}

const KNOWN = new WeakMap<Result, Map<string, Gauge>>();

export function byId(result: Result): Map<string, Gauge> {
  let found = KNOWN.get(result);
  if (!found) {
    found = new Map(result.said.locations.map((each) => [each.id, each]));
    KNOWN.set(result, found);
  }
  return found;
}

export function metricOf(run: Run, gauge: string, metric: string): number | null {
  return scoreOf(run, gauge)?.scores[metric] ?? null;
}

/** The gauges that every run scores: medians over others can't be compared. */
export function common(runs: readonly Run[]): string[] {
  const [first, ...others] = runs;
  if (!first) return [];
  const scored = (run: Run, id: string) => Object.keys(scoreOf(run, id)?.scores ?? {}).length > 0;
  return first.result.said.locations
    .map((each) => each.id)
    .filter((id) => scored(first, id) && others.every((run) => scored(run, id)));
}

/** A number between 0 and 1 of the values in order (as numpy's quantile); null of none. */
export function quantile(values: readonly number[], part: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const at = part * (sorted.length - 1);
  const low = sorted[Math.floor(at)];
  const high = sorted[Math.ceil(at)];
  if (low === undefined || high === undefined) return null;
  return low + (high - low) * (at - Math.floor(at));
}

export function valuesOf(run: Run, gauges: readonly string[], metric: string): number[] {
  return gauges.flatMap((id) => metricOf(run, id, metric) ?? []);
}

/** How far from the best: smaller is better, whatever the metric. */
export function loss(metric: Metric, value: number): number {
  if (metric.better === "higher") return -value;
  return metric.better === "lower" ? value : Math.abs(value - metric.best);
}

/** 1: `now` is better than `before`; -1: worse; 0: the same, to what is shown. */
export function change(metric: Metric, before: number, now: number): -1 | 0 | 1 {
  if (shown(metric, before) === shown(metric, now)) return 0;
  return loss(metric, now) < loss(metric, before) ? 1 : -1;
}

export function shown(metric: { unit: string }, value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const digits = metric.unit === "%" || metric.unit === "h" ? 1 : size >= 1000 ? 0 : 3;
  const text = value.toFixed(digits).replace(/^-(0(\.0+)?)$/, "$1");
  return text.replace("-", "−");
}

export function titled(name: string, metric: Metric): string {
  const threshold = name.split("@")[1];
  const unit = metric.unit ? `, ${metric.unit}` : "";
  return `${metric.title}${threshold ? ` ${threshold}` : ""}${unit}`;
}

const SPLIT = /("(?:[^"]|"")*"|[^,]*)(?:,|$)/g;

/** A line of CSV; quoted cells may hold commas. */
export function cells(line: string): string[] {
  if (!line.includes('"')) return line.split(",");
  const found = [...line.matchAll(SPLIT)].map(([, cell = ""]) =>
    cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell,
  );
  if (found.at(-1) === "" && !line.endsWith(",")) found.pop();
  return found;
}

/** The pairs of a run at a gauge: their bytes of series.csv, no more. Null where none are kept. */
export async function readPairs(
  run: Run,
  gauge: string,
  signal: AbortSignal,
): Promise<Pairs | null> {
  const range = scoreOf(run, gauge)?.series;
  const { dataset, series } = run.result;
  if (!range || series === null) return null;
  const answer = await send(itemAddress(dataset.id, series), {
    headers: { Range: `bytes=${range[0]}-${range[1] - 1}` },
    signal,
  });
  const found: Pairs = { times: [], observed: [], simulated: [] };
  for (const line of (await answer.text()).split("\n")) {
    if (!line) continue;
    const [time = "", observed, simulated] = cells(line).slice(2);
    found.times.push(Date.parse(time) / 1000);
    found.observed.push(Number(observed));
    found.simulated.push(Number(simulated));
  }
  return found;
}
