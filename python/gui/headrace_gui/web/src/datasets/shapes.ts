// GeoJSON in a file, as a layer of a map.
import type { FeatureCollection } from "geojson";
import { type MapLayer, shapesOf } from "../map/shapes";

/** null: the text is no GeoJSON, or has nothing that could be drawn. */
export function layersOf(name: string, content: string): readonly MapLayer[] | null {
  if (!content.includes("FeatureCollection")) return null;
  let data: Partial<FeatureCollection>;
  try {
    data = JSON.parse(content);
  } catch {
    return null;
  }
  if (data.type !== "FeatureCollection" || !Array.isArray(data.features)) return null;
  const named = data.features.map((feature, at) => ({
    ...feature,
    id: feature.id ?? feature.properties?.id ?? feature.properties?.divide_id ?? at + 1,
  }));
  const shapes = shapesOf({ type: "FeatureCollection", features: named });
  return shapes.length ? [{ name, shapes }] : null;
}
