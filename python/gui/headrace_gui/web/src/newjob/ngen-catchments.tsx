// Which catchments run: chosen on the map, along the water, or by ids.
import { useEffect, useMemo, useState } from "preact/hooks";
import { TextArea } from "../components/form";
import { ShapeMap } from "../components/map";
import type { Colors, MapLayer } from "../map/shapes";
import { along, type Fabric, type Partition } from "./fabric";

interface CatchmentsProps {
  title: string;
  fabric: Fabric;
  partitions: readonly Partition[];
  chosen: ReadonlySet<string>;
  onChoose: (chosen: ReadonlySet<string>) => void;
}

const split = (text: string) => text.split(/[\s,;]+/).filter(Boolean);

export function Catchments({ title, fabric, partitions, chosen, onChoose }: CatchmentsProps) {
  const rankOf = useMemo(
    () =>
      new Map(partitions.flatMap((each, at) => each.catchments.map((id) => [id, at] as const))),
    [partitions],
  );
  const layers = useMemo((): MapLayer[] => {
    const shapes = fabric.areas.map((each) => ({ ...each, value: rankOf.get(each.id) ?? null }));
    return [{ name: "catchments", shapes }];
  }, [fabric, rankOf]);
  const colors = useMemo(
    (): Colors | undefined =>
      partitions.length
        ? {
            kind: "groups",
            label: "Partition",
            names: partitions.map((each) => `rank ${each.rank}`),
          }
        : undefined,
    [partitions],
  );
  const known = new Set(fabric.catchments);
  const ids = [...chosen].join(", ");
  const [typed, setTyped] = useState(ids);
  useEffect(() => {
    const meant = split(typed).filter((each) => known.has(each));
    if (meant.join(", ") !== ids) setTyped(ids);
  }, [ids]);
  const unknown = split(typed).filter((each) => !known.has(each));
  const put = (text: string) => {
    setTyped(text);
    onChoose(new Set(split(text).filter((each) => known.has(each))));
  };
  return (
    <>
      <div class="row">
        <button type="button" class="button" onClick={() => onChoose(known)}>
          Choose all
        </button>
        <button
          type="button"
          class="button"
          disabled={!chosen.size}
          onClick={() => onChoose(new Set())}
        >
          Choose none
        </button>
        {fabric.to.size > 0 && (
          <>
            <button
              type="button"
              class="button"
              disabled={!chosen.size}
              onClick={() => onChoose(along(fabric, chosen, true))}
            >
              Add all upstream
            </button>
            <button
              type="button"
              class="button"
              disabled={!chosen.size}
              onClick={() => onChoose(along(fabric, chosen, false))}
            >
              Add all downstream
            </button>
          </>
        )}
      </div>
      {fabric.areas.length > 0 ? (
        <ShapeMap
          label={`Catchments of ${title}`}
          layers={layers}
          chosen={chosen}
          onChoose={onChoose}
          {...(colors ? { colors } : {})}
        />
      ) : (
        <p class="notice">
          Shapes of this format can't be drawn in a browser: its{" "}
          {fabric.catchments.length.toLocaleString()} catchments are chosen by their ids.
        </p>
      )}
      <TextArea
        label="Ids of the catchments"
        help="With commas, spaces or a line each. With none, all of the hydrofabric run."
        problem={
          unknown.length
            ? `The hydrofabric has no ${unknown.slice(0, 5).join(", ")}${unknown.length > 5 ? " …" : ""}`
            : null
        }
        rows={3}
        spellcheck={false}
        value={typed}
        onValue={put}
      />
    </>
  );
}
