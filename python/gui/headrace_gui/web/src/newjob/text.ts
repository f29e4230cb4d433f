// The job as YAML text: the one thing that both the form and the editor change.
import { type Document, isMap, parseDocument, type ScalarTag, type Tags } from "yaml";

export type Path = readonly (string | number)[];
export type Value = unknown;

/** What is wrong, where; `line` from 1, null where it has none. */
export interface Wrong {
  path: string;
  reason: string;
  line: number | null;
}

// As Headrace reads YAML: a number with a leading zero is the text that it is (a gauge's id), and
// so is what is a number in octal or hexadecimal digits elsewhere.
const NUMBERS: Record<string, RegExp | null> = {
  int: /^-?(?:0|[1-9][0-9]*)$/,
  "int OCT": null,
  "int HEX": null,
  float: /^-?(?:0|[1-9][0-9]*)\.[0-9]+$/,
  "float EXP": /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?[eE][-+]?[0-9]+$/,
};

function asHeadraceReads(tag: Tags[number]): Tags {
  if (typeof tag !== "object" || !("test" in tag) || tag.test?.test(".nan")) return [tag];
  const name = tag.tag.replace("tag:yaml.org,2002:", "");
  const test = NUMBERS[tag.format ? `${name} ${tag.format}` : name];
  if (test === null) return [];
  return [test ? ({ ...tag, test } as ScalarTag) : tag];
}

export const OPTIONS = { customTags: (tags: Tags): Tags => tags.flatMap(asHeadraceReads) };

export interface Read {
  document: Document;
  /** What it says; null while it is no YAML, or no map. */
  job: Record<string, Value> | null;
  wrong: Wrong[];
}

export function read(text: string): Read {
  const document = parseDocument(text, OPTIONS);
  const wrong = document.errors.map((error) => ({
    path: "",
    reason: error.message.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? "",
    line: error.linePos?.[0].line ?? null,
  }));
  if (wrong.length) return { document, job: null, wrong };
  const job: unknown = document.toJS();
  if (job === null || typeof job !== "object" || Array.isArray(job)) {
    const reason = "A job file is keys with values, such as `kind: command`.";
    return { document, job: null, wrong: [{ path: "", reason, line: 1 }] };
  }
  return { document, job: job as Record<string, Value>, wrong };
}

/** The text with another value at a place; comments elsewhere stay. undefined takes the key out. */
export function changed(text: string, path: Path, value: Value): string {
  const { document } = read(text);
  if (value !== undefined)
    document.setIn(path, document.createNode(value, { flow: isFlat(value) }));
  else prune(document, path);
  return written(document);
}

/** Take out a key, and the maps around it that are empty then. */
function prune(document: Document, path: Path): void {
  document.deleteIn(path);
  for (let depth = path.length - 1; depth > 0; depth -= 1) {
    const around = document.getIn(path.slice(0, depth), true);
    if (!isMap(around) || around.items.length) return;
    document.deleteIn(path.slice(0, depth));
  }
}

export function writeJob(job: Record<string, Value>): string {
  const { document } = read("{}");
  document.contents = document.createNode(job) as typeof document.contents;
  for (const key of Object.keys(job)) flatten(document, [key], job[key]);
  return written(document);
}

function flatten(document: Document, path: Path, value: Value): void {
  if (isFlat(value)) document.setIn(path, document.createNode(value, { flow: true }));
  else if (value && typeof value === "object") {
    for (const [key, each] of Object.entries(value)) {
      flatten(document, [...path, Array.isArray(value) ? Number(key) : key], each);
    }
  }
}

function written(document: Document): string {
  return document.toString({ lineWidth: 96, flowCollectionPadding: false });
}

/** A short list or map of plain values stands on one line. */
function isFlat(value: Value): boolean {
  if (value === null || typeof value !== "object") return false;
  const each = Object.values(value);
  return each.every((one) => one === null || typeof one !== "object") && each.length <= 40;
}

export function valueAt(job: Value, path: Path): Value {
  return path.reduce<Value>(
    (at, key) =>
      at !== null && typeof at === "object"
        ? (at as Record<string | number, Value>)[key]
        : undefined,
    job,
  );
}

export function pathText(path: Path): string {
  return path
    .map((key, at) => (typeof key === "number" ? `[${key}]` : at ? `.${key}` : key))
    .join("");
}

function pathOf(text: string): (string | number)[] {
  return [...text.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map(([, at, key]) =>
    at === undefined ? (key ?? "") : Number(at),
  );
}

/** The line of a place, or of what is nearest around it. */
export function lineOf(document: Document, text: string, place: string): number | null {
  const path = pathOf(place);
  for (let depth = path.length; depth > 0; depth -= 1) {
    const around = document.getIn(path.slice(0, depth - 1), true);
    const key = path[depth - 1];
    const pair = isMap(around)
      ? around.items.find((item) => String((item.key as { value?: unknown })?.value) === key)
      : undefined;
    const node = pair?.key ?? document.getIn(path.slice(0, depth), true);
    const range = (node as { range?: [number, number, number] } | undefined)?.range;
    if (range) return text.slice(0, range[0]).split("\n").length;
  }
  return null;
}

/** What the API says of a wrong spec: a line `place: reason` each. */
export function wrongOf(detail: string, document: Document, text: string): Wrong[] {
  const lines = detail.split("\n");
  const told = /^\d+ problems:$/.test(lines[0] ?? "") ? lines.slice(1) : [detail];
  return told.map((line) => {
    const [, path = "", reason = line] = /^\s*([\w.[\]-]+): ([\s\S]+)$/.exec(line) ?? [];
    return { path, reason, line: path ? lineOf(document, text, path) : null };
  });
}
