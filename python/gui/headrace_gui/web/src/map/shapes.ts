// What a map draws: shapes with ids, read from GeoJSON, and their colours.
import type { Feature, FeatureCollection, Geometry, Position } from "geojson";
import { colorOf } from "../theme";

export interface MapShape {
  /** Unique on the map. */
  id: string;
  geometry: Geometry;
  /** What is said of it besides its id. */
  label?: string;
  /** Its number on the scale, or its group; null and undefined are drawn without a colour. */
  value?: number | null;
}

export interface MapLayer {
  name: string;
  shapes: readonly MapShape[];
}

/** How values become colours, and what the legend says. */
export type Colors =
  | {
      kind: "scale";
      label: string;
      low: number;
      high: number;
      show?: (value: number) => string;
    }
  | { kind: "groups"; label: string; names: readonly string[] };

// From dark to bright: told apart without seeing red or green, on both grounds.
const STOPS: readonly (readonly [number, number, number])[] = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
];
const GROUPS = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5"];

export function scaleColor(part: number): string {
  const at = Math.min(1, Math.max(0, part)) * (STOPS.length - 1);
  const from = STOPS[Math.floor(at)] ?? [0, 0, 0];
  const to = STOPS[Math.ceil(at)] ?? from;
  const mixed = from.map((each, n) =>
    Math.round(each + ((to[n] ?? 0) - each) * (at - Math.floor(at))),
  );
  return `rgb(${mixed.join(", ")})`;
}

export const SCALE_CSS = `linear-gradient(to right, ${STOPS.map((_, at) =>
  scaleColor(at / (STOPS.length - 1)),
).join(", ")})`;

/** A colour a group: five of the theme, then as far apart around the circle as may be. */
export function groupColor(group: number): string {
  const name = GROUPS[group];
  return name ? colorOf(name) : `hsl(${Math.round(group * 137.5) % 360} 60% 50%)`;
}

export function valueColor(colors: Colors, value: number): string {
  if (colors.kind === "groups") return groupColor(value);
  const span = colors.high - colors.low;
  return scaleColor(span > 0 ? (value - colors.low) / span : 0.5);
}

/** The features that have a shape and an id: its own, or the property of one of these names. */
export function shapesOf(
  data: FeatureCollection,
  names: readonly string[] = ["id", "divide_id", "ID"],
): MapShape[] {
  return data.features.flatMap((feature: Feature) => {
    const own = feature.properties ?? {};
    const id = feature.id ?? names.map((name) => own[name]).find((each) => each !== undefined);
    return id === undefined || id === null || !feature.geometry
      ? []
      : [{ id: String(id), geometry: feature.geometry }];
  });
}

/** The corners of a shape, as x and y. */
export function extent(geometry: Geometry): [Position, Position] | null {
  let box: [number, number, number, number] | null = null;
  const look = (at: unknown): void => {
    if (!Array.isArray(at)) return;
    const [x, y] = at;
    if (typeof x === "number" && typeof y === "number") {
      box = box
        ? [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)]
        : [x, y, x, y];
    } else at.forEach(look);
  };
  if (geometry.type === "GeometryCollection") {
    for (const each of geometry.geometries) for (const corner of extent(each) ?? []) look(corner);
  } else look(geometry.coordinates);
  const found = box as [number, number, number, number] | null;
  return found && [found.slice(0, 2), found.slice(2)];
}

/** Whether coordinates are metres of some projection rather than degrees. */
export function isProjected(layers: readonly MapLayer[]): boolean {
  return layers.some((layer) =>
    layer.shapes.some((shape) =>
      extent(shape.geometry)?.some(([x, y]) => Math.abs(x ?? 0) > 360 || Math.abs(y ?? 0) > 90),
    ),
  );
}

/** What is said of a shape after its id. */
export function told(shape: MapShape, colors: Colors | undefined): string {
  const parts = shape.label ? [shape.label] : [];
  const { value } = shape;
  if (colors && value !== undefined && value !== null) {
    parts.push(
      colors.kind === "groups"
        ? (colors.names[value] ?? String(value))
        : (colors.show ?? String)(value),
    );
  }
  return parts.length ? ` · ${parts.join(" · ")}` : "";
}
