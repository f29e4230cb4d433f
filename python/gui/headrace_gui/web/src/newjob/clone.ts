// A job file from a job that there is: what its kind filled in, and what is as by default, is left out.
import { api, type Schemas } from "../api";
import type { Draft, TravellingFile } from "./draft";
import { controlOf, type Schema, settingsOf, unwrapped } from "./schema";
import { writeJob } from "./text";

type Spec = Record<string, unknown>;

export async function draftOf(id: string, schema: Schema, signal: AbortSignal): Promise<Draft> {
  const { spec } = await api.get("/api/v1/jobs/{job}", { path: { job: id }, signal });
  const full = (spec ?? {}) as Spec;
  const short = without(full, await filledIn(full, signal));
  const settings = settingsOf(schema, String(full.kind));
  const groups = { resources: schema.properties?.resources, settings };
  for (const [key, group] of Object.entries(groups)) {
    if (group && isMap(short[key])) short[key] = changedSettings(short[key], unwrapped(group));
  }
  const sent = (Array.isArray(short.files) ? short.files : []) as TravellingFile[];
  const files = Object.fromEntries(
    sent.map((file) => [file.name, { ...file, size: sizeOf(file.content) }]),
  );
  if (sent.length) short.files = sent.map((file) => file.name);
  // In the order in which people read it.
  const order = ["headrace", "kind", "name", ...Object.keys(schema.properties ?? {})];
  const job = Object.fromEntries(
    [...new Set(order)].filter((key) => key in short).map((key) => [key, short[key]]),
  );
  return { text: writeJob(job), files, from: id };
}

/** The bytes that a text in base64 stands for. */
function sizeOf(content: string): number {
  return (content.length / 4) * 3 - (/=*$/.exec(content)?.[0].length ?? 0);
}

/** What the same kind makes of the same settings, where nothing else is said. */
async function filledIn(full: Spec, signal: AbortSignal): Promise<Spec> {
  const said = ["headrace", "kind", "image", "environment", "resources"];
  const keys = [...said, full.kind === "command" ? "command" : "settings"];
  const body = Object.fromEntries(
    keys.filter((key) => full[key] !== undefined).map((key) => [key, full[key]]),
  ) as Schemas["JobFile"];
  try {
    const { spec } = await api.post("/api/v1/jobs:validate", { body, signal });
    const found: Spec = { ...spec };
    for (const key of keys) delete found[key];
    return found;
  } catch {
    if (signal.aborted) throw new DOMException("", "AbortError");
    return {}; // it can't be told apart, so all of it is shown
  }
}

function without(full: Spec, filled: Spec): Spec {
  const kept: Spec = {};
  for (const [key, value] of Object.entries(full)) {
    const other = filled[key];
    if (value === null || same(value, other)) continue;
    if (Array.isArray(value) && Array.isArray(other) && key === "files") {
      const rest = value.filter((each) => !other.some((one) => same(one, each)));
      if (rest.length) kept[key] = rest;
    } else if (isMap(value) && isMap(other)) {
      const rest = Object.entries(value).filter(([name, each]) => !same(each, other[name]));
      kept[key] = Object.fromEntries(rest);
    } else kept[key] = value;
  }
  return kept;
}

function changedSettings(settings: Spec, schema: Schema): Spec {
  const kept = Object.entries(settings).filter(([key, value]) => {
    const each = unwrapped(schema.properties?.[key] ?? {});
    const [, byDefault] = /Default (.+)\.$/.exec(each.description ?? "") ?? [];
    const plain = byDefault !== undefined && controlOf(each) !== "yaml";
    if (value === null) return false;
    if (plain && typeof value === "number") return Number(byDefault) !== value;
    return !plain || [value].flat().join(", ") !== byDefault;
  });
  return Object.fromEntries(kept);
}

function isMap(value: unknown): value is Spec {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function same(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((each, at) => same(each, other[at]));
  }
  if (isMap(one) && isMap(other)) {
    const keys = Object.keys(one);
    return (
      keys.length === Object.keys(other).length && keys.every((key) => same(one[key], other[key]))
    );
  }
  return one === other;
}
