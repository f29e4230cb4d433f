// Shapes on a map without tiles: seen, coloured by value, chosen by click, box, or in a list.
import { useEffect, useRef, useState } from "preact/hooks";
import "./map.css";
import type { Ground } from "../map/ground";
import {
  type Colors,
  groupColor,
  type MapLayer,
  type MapShape,
  SCALE_CSS,
  told,
} from "../map/shapes";
import { useStore } from "../store";
import { dark } from "../theme";

export interface MapProps {
  /** Says what is drawn, for who can't see it. */
  label: string;
  /** Drawn in this order, the last one on top. Keep the same array while nothing changes. */
  layers: readonly MapLayer[];
  colors?: Colors;
  chosen?: ReadonlySet<string>;
  /** Without it nothing can be chosen. One id for a click, many for a box. */
  onChoose?: (chosen: ReadonlySet<string>) => void;
  height?: number;
}

const NONE: ReadonlySet<string> = new Set();
const LISTED = 200;

export function ShapeMap(props: MapProps) {
  const { label, layers, colors, chosen = NONE, onChoose, height = 380 } = props;
  const box = useRef<HTMLDivElement>(null);
  const ground = useRef<Ground | null>(null);
  const [ready, setReady] = useState(false);
  const [boxing, setBoxing] = useState(false);
  const isDark = useStore(dark);
  const latest = useRef({ chosen, onChoose });
  latest.current = { chosen, onChoose };

  useEffect(() => {
    let gone = false;
    void import("../map/ground").then(({ Ground }) => {
      if (gone || !box.current) return;
      ground.current = new Ground(box.current, (ids, how) =>
        latest.current.onChoose?.(changed(latest.current.chosen, ids, how)),
      );
      setReady(true);
    });
    return () => {
      gone = true;
      ground.current?.remove();
      ground.current = null;
    };
  }, []);
  useEffect(() => ground.current?.draw(layers), [ready, layers]);
  useEffect(
    () => ground.current?.paint(chosen, colors, Boolean(onChoose)),
    [ready, layers, chosen, colors, isDark, Boolean(onChoose)],
  );
  useEffect(() => ground.current?.setBoxing(boxing), [ready, boxing]);

  const shapes = layers.reduce((sum, layer) => sum + layer.shapes.length, 0);
  return (
    <div class="map">
      <div class="row">
        <button type="button" class="button" onClick={() => ground.current?.fit(NONE)}>
          Show all
        </button>
        {onChoose && (
          <>
            <button
              type="button"
              class="button"
              aria-pressed={boxing}
              onClick={() => setBoxing(!boxing)}
            >
              Choose by box
            </button>
            <button
              type="button"
              class="button"
              disabled={chosen.size === 0}
              onClick={() => ground.current?.fit(chosen)}
            >
              Zoom to chosen
            </button>
            <span class="fine" role="status">
              {chosen.size.toLocaleString()} of {shapes.toLocaleString()} chosen
            </span>
          </>
        )}
      </div>
      <div
        ref={box}
        class={`map-ground ${boxing ? "boxing" : ""}`}
        role="region"
        aria-label={label}
        aria-busy={!ready}
        style={{ height: `${height}px` }}
      />
      {colors && <Legend colors={colors} />}
      <ShapeList {...props} />
    </div>
  );
}

function changed(before: ReadonlySet<string>, ids: readonly string[], how: "flip" | "add") {
  const next = new Set(before);
  for (const id of ids) {
    if (how === "flip" && next.has(id)) next.delete(id);
    else next.add(id);
  }
  return next;
}

function Legend({ colors }: { colors: Colors }) {
  useStore(dark); // the colours of groups follow the theme
  if (colors.kind === "groups") {
    return (
      <p class="map-legend">
        <b>{colors.label}</b>
        {colors.names.map((name, at) => (
          <span key={name}>
            <i style={{ background: groupColor(at) }} />
            {name}
          </span>
        ))}
      </p>
    );
  }
  const show = colors.show ?? String;
  return (
    <p class="map-legend">
      <b>{colors.label}</b>
      <span>
        {show(colors.low)}
        <span class="ramp" style={{ background: SCALE_CSS }} />
        {show(colors.high)}
      </span>
    </p>
  );
}

/** The same without seeing or pointing: every shape with its value, to be read and chosen. */
function ShapeList({ label, layers, colors, chosen = NONE, onChoose }: MapProps) {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const wanted = typed.trim().toLowerCase();
  const all = open ? layers.flatMap((layer) => layer.shapes) : [];
  const found = all.filter((shape) =>
    `${shape.id} ${shape.label ?? ""}`.toLowerCase().includes(wanted),
  );
  return (
    <details class="map-list" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a list</summary>
      {open && (
        <>
          <input
            type="search"
            aria-label={`Part of an id, in: ${label}`}
            placeholder="Part of an id"
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
          <ul tabIndex={0} aria-label={label}>
            {found.slice(0, LISTED).map((shape) => (
              <li key={shape.id}>
                {onChoose ? (
                  <label class="check">
                    <input
                      type="checkbox"
                      checked={chosen.has(shape.id)}
                      onChange={() => onChoose(changed(chosen, [shape.id], "flip"))}
                    />
                    <Named shape={shape} colors={colors} />
                  </label>
                ) : (
                  <Named shape={shape} colors={colors} />
                )}
              </li>
            ))}
          </ul>
          {found.length > LISTED && (
            <p class="fine">
              {(found.length - LISTED).toLocaleString()} more: type a part of an id.
            </p>
          )}
        </>
      )}
    </details>
  );
}

function Named({ shape, colors }: { shape: MapShape; colors: Colors | undefined }) {
  return (
    <span>
      {shape.id}
      <span class="quiet">{told(shape, colors)}</span>
    </span>
  );
}
