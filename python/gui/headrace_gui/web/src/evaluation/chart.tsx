// A uPlot of any kind in the colours of the theme, as wide as the place it has.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useStore } from "../store";
import { colorOf, dark } from "../theme";

export type Options = Omit<uPlot.Options, "width" | "height">;

interface ChartProps {
  /** Says what is drawn, for who can't see it. */
  label: string;
  data: uPlot.AlignedData;
  height: number;
  /** Made again when `shape` or the theme changes. */
  options: () => Options;
  shape: string;
  /** The plot when it is made; null when it is gone. */
  onPlot?: (plot: uPlot | null) => void;
}

export function Chart({ label, data, height, options, shape, onPlot }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const drawn = useRef<uPlot.AlignedData | null>(null);
  const isDark = useStore(dark);
  useEffect(() => {
    const at = box.current;
    if (!at) return;
    const made = new uPlot({ ...options(), width: at.clientWidth, height }, data, at);
    plot.current = made;
    drawn.current = data;
    onPlot?.(made);
    const sizes = new ResizeObserver(() => made.setSize({ width: at.clientWidth, height }));
    sizes.observe(at);
    return () => {
      sizes.disconnect();
      made.destroy();
      plot.current = null;
      onPlot?.(null);
    };
  }, [shape, height, isDark]);
  useEffect(() => {
    if (drawn.current !== data) plot.current?.setData(data);
    drawn.current = data;
  }, [data]);
  return (
    <div
      ref={box}
      class="plot chart"
      role="img"
      aria-label={label}
      style={{ minHeight: `${height}px` }}
    />
  );
}

export const UTC = (seconds: number) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");

export function axis(label?: string): uPlot.Axis {
  return {
    stroke: colorOf("--quiet"),
    grid: { stroke: colorOf("--faint"), width: 1 },
    ticks: { stroke: colorOf("--faint"), width: 1 },
    ...(label ? { label, labelSize: 20, labelFont: "12px system-ui" } : {}),
  };
}

/** Three digits that count. */
export function brief(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return Number(value.toPrecision(4)).toLocaleString(undefined, { maximumSignificantDigits: 4 });
}
