// The job file of a run of ngen, from what was chosen.
import { type Dataset, namesOf, type Span, spansOf, utc } from "../datasets/domain";
import { writeJob } from "./text";

export interface Run {
  fabric: Dataset | null;
  /** Empty: all of the hydrofabric. */
  catchments: ReadonlySet<string>;
  begin: string;
  end: string;
  forcing: Dataset | null;
  configs: readonly Dataset[];
  partition: Dataset | null;
  ranks: number;
  routing: boolean;
}

const one = (
  dataset: Dataset | null,
  index: "DATA_ID" | "HYDROFABRIC_DATA_ID" | "HYDROFABRIC_ID",
) => (dataset ? namesOf(dataset.domain, index)?.[0] : undefined);

function fabricOf(format: string): string {
  if (format.endsWith("_V1")) return "GEOPACKAGE_V1";
  return format.includes("GEOPACKAGE") ? "GEOPACKAGE" : "GEOJSON";
}

export function ngenText(run: Run, all: number): string {
  const settings: Record<string, unknown> = { time: [run.begin, run.end] };
  const some = run.catchments.size > 0 && run.catchments.size < all;
  if (some) settings.catchments = [...run.catchments].sort(byNumber);
  if (run.fabric) settings.fabric = fabricOf(run.fabric.format);
  if (run.forcing) settings.forcing = run.forcing.format.includes("CSV") ? "CSV" : "NETCDF";
  if (run.routing) settings.routing = true;
  const names: Record<string, string | undefined> = {
    hydrofabric_data_id: one(run.fabric, "HYDROFABRIC_DATA_ID"),
    hydrofabric_uid: one(run.fabric, "HYDROFABRIC_ID"),
    forcing_data_id: one(run.forcing, "DATA_ID"),
    partition_config_data_id: one(run.partition, "DATA_ID"),
  };
  for (const [key, name] of Object.entries(names)) if (name) settings[key] = name;
  Object.assign(settings, configsOf(run.configs));
  return writeJob({
    headrace: 1,
    kind: "ngen",
    name: (names.hydrofabric_data_id ?? "ngen").toLowerCase().replace(/[^a-z0-9._-]+/g, "-"),
    settings,
    resources: { cpus: run.ranks, memory: `${512 * run.ranks}MiB` },
    limits: { time: "1h" },
  });
}

function configsOf(configs: readonly Dataset[]): Record<string, unknown> {
  const names = configs.flatMap((each) => one(each, "DATA_ID") ?? []);
  const [first] = configs;
  if (!names.length || !first) return {};
  if (configs.length > 1) return { config_sources: names };
  const key =
    first.format === "NGEN_REALIZATION_CONFIG"
      ? "realization_config"
      : first.format === "NGEN_JOB_COMPOSITE_CONFIG"
        ? "config_data_id"
        : null;
  return key ? { [key]: names[0] } : { config_sources: names };
}

function byNumber(one: string, other: string): number {
  return one.localeCompare(other, "en", { numeric: true });
}

/** What is amiss between the chosen time and what forcing covers; null: nothing. */
export function uncovered(forcing: Dataset, begin: string, end: string): string | null {
  const span = [at(begin), at(end)] as const;
  if (!(span[0] < span[1])) return null;
  const spans: Span[] = spansOf(forcing.domain);
  if (spans.some(([from, to]) => from <= span[0] && span[1] <= to)) return null;
  const words = spans.map(([from, to]) => `${utc(from)} to ${utc(to)}`).join(", ");
  return `${forcing.title} covers ${words || "no time"} (UTC), not all of the run.`;
}

/** A time as a job file has it, in UTC where it names no zone. */
export function at(text: string): number {
  return Date.parse(/^\d{4}-\d\d-\d\d$/.test(text) || /Z$/.test(text) ? text : `${text}Z`);
}

/** As a job file has it: the day alone at midnight. */
export function timeText(ms: number): string {
  const text = utc(ms);
  return text.includes(" ") ? `${text.replace(" ", "T")}Z` : text;
}
