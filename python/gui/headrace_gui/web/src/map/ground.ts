// The drawn part of a map, by Leaflet on a canvas; loaded when a map is first shown.
import type { GeoJsonObject } from "geojson";
import L from "leaflet";
import "leaflet/dist/leaflet.css";
import { colorOf } from "../theme";
import {
  type Colors,
  isProjected,
  type MapLayer,
  type MapShape,
  told,
  valueColor,
} from "./shapes";

interface Drawn {
  shape: MapShape;
  path: L.GeoJSON;
}

/** `flip` for a click on one; `add` for those in a box. */
type Choose = (ids: readonly string[], how: "flip" | "add") => void;

const CLICK_PX = 4;

export class Ground {
  private map: L.Map | null = null;
  private readonly drawn = new Map<string, Drawn>();
  private painted: Colors | undefined;
  private boxing = false;
  private readonly sizes = new ResizeObserver(() => this.map?.invalidateSize());

  constructor(
    private readonly at: HTMLElement,
    private readonly choose: Choose,
  ) {
    this.sizes.observe(at);
    at.addEventListener("pointerdown", this.beginBox, { capture: true });
  }

  remove(): void {
    this.sizes.disconnect();
    this.at.removeEventListener("pointerdown", this.beginBox, { capture: true });
    this.map?.remove();
  }

  /** Draw these instead of what was there, and show all of it. */
  draw(layers: readonly MapLayer[]): void {
    this.map?.remove();
    this.drawn.clear();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const projected = isProjected(layers);
    const map = L.map(this.at, {
      attributionControl: false,
      boxZoom: false,
      crs: projected ? L.CRS.Simple : L.CRS.EPSG3857,
      fadeAnimation: false,
      minZoom: projected ? -20 : 0,
      renderer: L.canvas({ padding: 0.2 }),
      zoomAnimation: !still,
      zoomSnap: 0.25,
    });
    this.map = map;
    for (const layer of layers) for (const shape of layer.shapes) this.add(map, shape);
    this.fit(new Set());
    this.setBoxing(this.boxing);
  }

  private add(map: L.Map, shape: MapShape): void {
    const path = L.geoJSON(shape.geometry as GeoJsonObject, {
      pointToLayer: (_, at) => L.circleMarker(at, { radius: 6 }),
    });
    path.on("click", () => {
      if (!this.boxing) this.choose([shape.id], "flip");
    });
    // Made of nodes: what ids hold is text, never markup.
    path.bindTooltip(
      () => {
        const text = document.createElement("span");
        text.textContent = shape.id + told(shape, this.painted);
        return text;
      },
      { sticky: true },
    );
    path.addTo(map);
    this.drawn.set(shape.id, { shape, path });
  }

  /** Colour all by their values, and those that are chosen by a strong line. */
  paint(chosen: ReadonlySet<string>, colors: Colors | undefined, choosable: boolean): void {
    this.painted = colors;
    const accent = colorOf("--accent");
    const line = colorOf("--quiet");
    const plain = colorOf("--control");
    const text = colorOf("--text");
    for (const { shape, path } of this.drawn.values()) {
      const isChosen = chosen.has(shape.id);
      const colored = colors && shape.value !== undefined && shape.value !== null;
      const fill = colored ? valueColor(colors, shape.value ?? 0) : isChosen ? accent : plain;
      path.setStyle({
        color: isChosen ? (colored ? text : accent) : line,
        weight: isChosen ? 3 : 1,
        fillColor: fill,
        fillOpacity: colored ? 0.8 : isChosen ? 0.45 : 0.15,
        interactive: choosable || Boolean(colored),
      });
      if (isChosen) path.bringToFront();
    }
    for (const { shape, path } of this.drawn.values()) {
      if (/Point$/.test(shape.geometry.type)) path.bringToFront();
    }
  }

  /** Show these; all, where there are none. */
  fit(ids: ReadonlySet<string>): void {
    const bounds = L.latLngBounds([]);
    for (const [id, { path }] of this.drawn) {
      if (ids.size === 0 || ids.has(id)) bounds.extend(path.getBounds());
    }
    if (bounds.isValid()) this.map?.fitBounds(bounds, { padding: [12, 12], maxZoom: 14 });
    else this.map?.setView([0, 0], 1);
  }

  setBoxing(on: boolean): void {
    this.boxing = on;
    if (on) this.map?.dragging.disable();
    else this.map?.dragging.enable();
  }

  /** A box is drawn with the pointer where that is on, or with the shift key held. */
  private readonly beginBox = (down: PointerEvent): void => {
    const map = this.map;
    if (!map || down.button !== 0 || !(this.boxing || down.shiftKey)) return;
    if (down.target instanceof Element && down.target.closest(".leaflet-control")) return;
    map.dragging.disable();
    const place = this.at.getBoundingClientRect();
    const from = L.point(down.clientX - place.left, down.clientY - place.top);
    const drawn = document.createElement("div");
    drawn.className = "map-box";
    let box = L.bounds([from, from]);
    const move = (event: PointerEvent) => {
      box = L.bounds([from, L.point(event.clientX - place.left, event.clientY - place.top)]);
      const [low, size] = [box.min ?? from, box.getSize()];
      Object.assign(drawn.style, {
        left: `${low.x}px`,
        top: `${low.y}px`,
        width: `${size.x}px`,
        height: `${size.y}px`,
      });
      this.at.append(drawn);
    };
    const end = (event: PointerEvent) => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      drawn.remove();
      this.setBoxing(this.boxing);
      const { x, y } = box.getSize();
      if (event.type === "pointerup" && Math.max(x, y) > CLICK_PX) this.chooseIn(map, box);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  };

  /** Those whose middle lies in the box. */
  private chooseIn(map: L.Map, box: L.Bounds): void {
    const inside = [...this.drawn.values()].filter(({ path }) =>
      box.contains(map.latLngToContainerPoint(path.getBounds().getCenter())),
    );
    if (inside.length) {
      this.choose(
        inside.map(({ shape }) => shape.id),
        "add",
      );
    }
  }
}
