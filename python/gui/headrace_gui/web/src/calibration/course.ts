// The course of a calibration: from its log while it runs, from iterations.csv when it is over.
import { api, send } from "../api";
import { cells, type Dataset, filesOf, isOf, itemAddress } from "../evaluation/result";
import type { Job } from "../live";

export interface Iteration {
  number: number;
  /** The objective in the train period; null: the run failed. */
  score: number | null;
  values: Record<string, number>;
  failure: string;
  /** The best so far, and of which iteration. */
  best: number | null;
  bestOf: number | null;
}

export interface Bound {
  min: number;
  max: number;
  init?: number;
  log: boolean;
}

interface Tried {
  iteration: number;
  parameters: Record<string, number>;
  objective: Record<string, number | null>;
  scores: Record<string, Record<string, Record<string, number | null>>>;
}

export interface Best {
  objective: string;
  algorithm: string;
  seed: number;
  iterations: number;
  failed: number;
  ended: string;
  scored: Record<string, [string, string]>;
  initial: Tried | null;
  best: Tried;
}

export interface Found {
  dataset: Dataset;
  best: Best;
  iterations: readonly Iteration[];
}

const LINE =
  /^HEADRACE_PROGRESS (\d+)\/(\d+) iteration (\d+): (?:(failed) \((.*?)\): (.*)|\S+ (\S+) \((.*?)\)); (?:none ran yet|best \S+ (\S+) of iteration (\d+) \(.*\))$/;

/** A line of the worker's about an iteration that ended; null for any other. */
export function meant(line: string): (Iteration & { of: number }) | null {
  const found = LINE.exec(line);
  if (!found) return null;
  const [, , of, number, failed, tried, why, score, values, best, bestOf] = found;
  return {
    number: Number(number),
    of: Number(of),
    score: failed ? null : Number(score),
    values: Object.fromEntries(
      (tried ?? values ?? "").split(", ").map((pair) => {
        const at = pair.lastIndexOf("=");
        return [pair.slice(0, at), Number(pair.slice(at + 1))];
      }),
    ),
    failure: why ?? "",
    best: best === undefined ? null : Number(best),
    bestOf: bestOf === undefined ? null : Number(bestOf),
  };
}

/** The rows of iterations.csv. */
export function rowsOf(text: string): Iteration[] {
  const [head = "", ...lines] = text.split("\n").filter(Boolean);
  const names = cells(head).slice(3, -1);
  let best: number | null = null;
  let bestOf: number | null = null;
  return lines.map((line) => {
    const [number, score, soFar, ...more] = cells(line);
    const now = soFar ? Number(soFar) : null;
    if (now !== best) {
      best = now;
      bestOf = Number(number);
    }
    return {
      number: Number(number),
      score: score ? Number(score) : null,
      values: Object.fromEntries(names.map((name, at) => [name, Number(more[at])])),
      failure: more[names.length] ?? "",
      best,
      bestOf,
    };
  });
}

export async function readFound(id: string, signal: AbortSignal): Promise<Found> {
  const dataset = await api.get("/api/v1/datasets/{dataset}", { path: { dataset: id }, signal });
  isOf(dataset, "CALIBRATION_RESULT");
  const files = await filesOf(dataset.id, signal);
  const read = (name: string) =>
    send(itemAddress(dataset.id, files.get(name) ?? name), { signal });
  const [best, iterations] = await Promise.all([read("best.json"), read("iterations.csv")]);
  return { dataset, best: await best.json(), iterations: rowsOf(await iterations.text()) };
}

interface Told {
  min?: unknown;
  max?: unknown;
  init?: unknown;
  scale?: unknown;
}

/** The limits of the parameters, as the job's settings say them; none where they do not. */
export function boundsOf(job: Job | null): Record<string, Bound> {
  const settings = (job?.spec?.settings ?? {}) as { parameters?: unknown };
  const told = settings.parameters;
  if (!told || typeof told !== "object") return {};
  const found: Record<string, Bound> = {};
  for (const [name, each] of Object.entries(told as Record<string, Told>)) {
    const [min, max] = [Number(each?.min), Number(each?.max)];
    if (!(min < max)) continue;
    const bound: Bound = { min, max, log: each.scale === "log" };
    found[name] = each.init === undefined ? bound : { ...bound, init: Number(each.init) };
  }
  return found;
}

/** Where a value lies between its limits, 0 to 1. */
export function partOf({ min, max, log }: Bound, value: number): number {
  const part = log ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);
  return Math.min(1, Math.max(0, part));
}
