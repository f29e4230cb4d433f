// A hydrofabric as the browser sees it: catchments with their shapes, and what drains to what.
import type { FeatureCollection } from "geojson";
import { ApiError, addressOf, api, send } from "../api";
import { type Dataset, namesOf } from "../datasets/domain";
import { bytes } from "../format";
import { type MapShape, shapesOf } from "../map/shapes";

export interface Fabric {
  catchments: readonly string[];
  /** Empty where the format can't be drawn in a browser. */
  areas: readonly MapShape[];
  points: readonly MapShape[];
  /** From each catchment and nexus to what it drains to. */
  to: ReadonlyMap<string, string>;
}

export interface Partition {
  rank: number;
  catchments: readonly string[];
}

const MOST_BYTES = 64 << 20;
const IDS = ["id", "divide_id", "ID"];

export const isDrawn = (dataset: Dataset) => dataset.format === "NGEN_GEOJSON_HYDROFABRIC";

export async function readFabric(dataset: Dataset, signal: AbortSignal): Promise<Fabric> {
  if (!isDrawn(dataset)) {
    const catchments = namesOf(dataset.domain, "CATCHMENT_ID") ?? [];
    return { catchments, areas: [], points: [], to: new Map() };
  }
  const collections = (await readJson(dataset, /\.(geo)?json$/i, signal)).filter(
    (each): each is FeatureCollection =>
      (each as FeatureCollection | null)?.type === "FeatureCollection",
  );
  const to = new Map<string, string>();
  for (const feature of collections.flatMap((each) => each.features)) {
    const own = feature.properties ?? {};
    const id = feature.id ?? IDS.map((name) => own[name]).find((each) => each !== undefined);
    const next = own.toid ?? own.toID;
    if (id !== undefined && next !== undefined && next !== null) to.set(String(id), String(next));
  }
  const shapes = collections.flatMap((each) => shapesOf(each, IDS));
  const areas = unique(shapes.filter((each) => /Polygon$/.test(each.geometry.type)));
  const points = unique(shapes.filter((each) => each.geometry.type === "Point"));
  return { catchments: areas.map((each) => each.id), areas, points, to };
}

export async function readPartitions(dataset: Dataset, signal: AbortSignal): Promise<Partition[]> {
  const [found] = (await readJson(dataset, /\.json$/i, signal)) as {
    partitions?: { id: number; "cat-ids"?: string[] }[];
  }[];
  return (found?.partitions ?? []).map((each) => ({
    rank: each.id,
    catchments: each["cat-ids"] ?? [],
  }));
}

async function readJson(dataset: Dataset, fits: RegExp, signal: AbortSignal): Promise<unknown[]> {
  if (dataset.size_bytes > MOST_BYTES) {
    throw new ApiError(
      0,
      "TOO_LARGE",
      `${dataset.title} has ${bytes(dataset.size_bytes)}; the browser reads up to ${bytes(MOST_BYTES)}.`,
      "list the ids of the catchments, or leave them out for all",
    );
  }
  const path = { dataset: dataset.id };
  const { items } = await api.get("/api/v1/datasets/{dataset}/items", { path, signal });
  const wanted = items.filter((item) => fits.test(item.path));
  return Promise.all(
    wanted.map(async (item) => {
      const at = addressOf("/api/v1/datasets/{dataset}/items/{path}", {
        ...path,
        path: item.path,
      });
      return (await send(at, { signal })).json() as Promise<unknown>;
    }),
  );
}

function unique(shapes: readonly MapShape[]): MapShape[] {
  return [...new Map(shapes.map((each) => [each.id, each])).values()];
}

/** These and all catchments that drain to them (`up`), or to which they drain. */
export function along(fabric: Fabric, from: ReadonlySet<string>, up: boolean): Set<string> {
  const next = new Map<string, string[]>();
  for (const [id, to] of fabric.to) {
    const [key, value] = up ? [to, id] : [id, to];
    next.set(key, [...(next.get(key) ?? []), value]);
  }
  const seen = new Set(from);
  const left = [...from];
  for (let id = left.pop(); id !== undefined; id = left.pop()) {
    for (const each of next.get(id) ?? []) {
      if (!seen.has(each)) {
        seen.add(each);
        left.push(each);
      }
    }
  }
  const known = new Set(fabric.catchments);
  return new Set([...seen].filter((id) => known.has(id)));
}
