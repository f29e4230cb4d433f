// What data covers, in plain words. Data's own times are told in UTC, whatever the reader's zone.
import { ApiError, type Schemas } from "../api";

export type Domain = Schemas["Domain"];
export type Dataset = Schemas["DatasetView"];
export type Index = keyof Domain;
/** Milliseconds since 1970: begin, and the end, which is no part of it. */
export type Span = readonly [number, number];

export const CATEGORIES = ["CONFIG", "FORCING", "HYDROFABRIC", "OBSERVATION", "OUTPUT"] as const;
export type Category = (typeof CATEGORIES)[number];

export const INDEX_WORDS: Record<Index, string> = {
  TIME: "Time",
  CATCHMENT_ID: "Catchments",
  DATA_ID: "Data id",
  HYDROFABRIC_ID: "Hydrofabric (by content)",
  HYDROFABRIC_VERSION: "Hydrofabric version",
  HYDROFABRIC_REGION: "Hydrofabric region",
  HYDROFABRIC_DATA_ID: "Hydrofabric",
  LENGTH: "Length",
  GLOBAL_CHECKSUM: "Checksum of all files",
  ELEMENT_ID: "Elements",
  REALIZATION_CONFIG_DATA_ID: "Realization config",
  FILE_NAME: "File names",
  COMPOSITE_SOURCE_ID: "Made of the configs",
  GAUGE_ID: "Gauges",
};

export function categoryWord(category: string): string {
  return category.charAt(0) + category.slice(1).toLowerCase();
}

/** The intervals of time that are covered, in order. */
export function spansOf(domain: Domain): Span[] {
  const time = domain.TIME;
  if (!time) return [];
  const pairs = (typeof time[0] === "string" ? [time] : time) as [string, string][];
  return pairs.map(([begin, end]) => [Date.parse(begin), Date.parse(end)] as const);
}

/** As short as it can be said: `2015-12-01` at midnight, else `2015-12-01 06:00`. */
export function utc(at: number): string {
  const iso = new Date(at).toISOString();
  return /T00:00:00\.000Z$/.test(iso)
    ? iso.slice(0, 10)
    : iso.slice(0, /:00\.000Z$/.test(iso) ? 16 : 19).replace("T", " ");
}

const UNITS: readonly [number, string][] = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1000, "second"],
];

/** How long it is: `30 days`, `2 years`, `718 hours`. */
export function lengthOf([begin, end]: Span): string {
  const ms = end - begin;
  const years = ms / (365.25 * 86_400_000);
  if (years >= 1.5) return `${Number(years.toFixed(1)).toLocaleString()} years`;
  for (const [unit, word] of UNITS) {
    const number = ms / unit;
    if (number >= 1 && Number.isInteger(number)) {
      return `${number.toLocaleString()} ${word}${number === 1 ? "" : "s"}`;
    }
  }
  return `${(ms / 1000).toLocaleString()} seconds`;
}

/** `2015-12-01 to 2015-12-30 23:00 UTC`; the end is the first moment after it. */
export function spanWords([begin, end]: Span): string {
  return `${utc(begin)} to ${utc(end)} UTC`;
}

/** All of the time in a line. */
export function timeWords(domain: Domain): string {
  const spans = spansOf(domain);
  const [first, last] = [spans[0], spans.at(-1)];
  if (!first || !last) return "";
  const whole = spanWords([first[0], last[1]]);
  return spans.length > 1 ? `${whole}, in ${spans.length} pieces` : whole;
}

/** The names of a discrete index; null for ALL. */
export function namesOf(domain: Domain, index: Exclude<Index, "TIME">): readonly string[] | null {
  const value = domain[index];
  if (value === undefined) return [];
  if (typeof value === "string") return value === "ALL" ? null : [value];
  return value;
}

export function indexesOf(domain: Domain): Index[] {
  return (Object.keys(domain) as Index[]).filter((index) => domain[index] !== undefined);
}

/** What is covered beside the time, in a few words: `3 catchments · drb`. */
export function brief(domain: Domain): string {
  const parts: string[] = [];
  for (const index of indexesOf(domain)) {
    if (index === "TIME" || index === "GLOBAL_CHECKSUM" || index === "HYDROFABRIC_ID") continue;
    const names = namesOf(domain, index);
    const word = INDEX_WORDS[index].toLowerCase();
    if (names === null) parts.push(`all ${word}`);
    else if (names.length === 1) parts.push(names[0] ?? "");
    else parts.push(`${names.length.toLocaleString()} ${word}`);
  }
  return parts.join(" · ");
}

/** A domain as somebody typed it. Throws `ApiError`. */
export function parsedDomain(text: string): Domain {
  if (!text.trim()) return {};
  try {
    return JSON.parse(text) as Domain;
  } catch (error) {
    throw new ApiError(
      0,
      "NO_JSON",
      `The domain is no JSON: ${(error as Error).message}`,
      'Write it as {"DATA_ID": "aorc-2015"}.',
    );
  }
}
