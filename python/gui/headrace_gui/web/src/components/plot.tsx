// Lines over time by uPlot, in the colours of the theme; as wide as the place it has.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useStore } from "../store";
import { colorOf, dark } from "../theme";

export interface PlotProps {
  /** Says what is drawn, for who can't see it. */
  label: string;
  /** Seconds since 1970, then one array a line; null is a gap. */
  data: uPlot.AlignedData;
  lines: readonly { label: string; unit?: string; color?: string; fill?: boolean }[];
  height?: number;
  /** Show times in UTC: those of data, not of what happened. */
  utc?: boolean;
  /** The axis begins at 0, whatever the values. */
  fromZero?: boolean;
  /** Draws a value of the axis or legend. */
  show?: (value: number) => string;
}

export const LINE_COLORS = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5"];

export function Plot(props: PlotProps) {
  const { label, data, lines, height = 180, utc = false, fromZero = false, show } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const isDark = useStore(dark);
  const shape = lines.map((each) => each.label).join("|");

  useEffect(() => {
    const at = box.current;
    if (!at) return;
    const axis = { stroke: colorOf("--quiet"), grid: { stroke: colorOf("--faint") } };
    const made = new uPlot(
      {
        width: at.clientWidth,
        height,
        ...(utc ? { tzDate: (at: number) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC") } : {}),
        ...(fromZero
          ? {
              scales: {
                y: { range: (_: uPlot, __: number, top: number) => [0, top * 1.05 || 1] },
              },
            }
          : {}),
        cursor: { sync: { key: "headrace" } },
        series: [
          utc ? { label: "Time (UTC)" } : {},
          ...lines.map((each, at) => {
            const stroke = colorOf(
              each.color ?? LINE_COLORS[at % LINE_COLORS.length] ?? "--accent",
            );
            return {
              label: each.label,
              stroke,
              width: 1.5,
              ...(each.fill
                ? { fill: stroke.replace("rgb(", "rgba(").replace(")", ", 0.13)") }
                : {}),
              value: (_: uPlot, value: number | null) =>
                value === null ? "–" : (show?.(value) ?? `${value} ${each.unit ?? ""}`),
            };
          }),
        ],
        axes: [
          axis,
          {
            ...axis,
            size: 76,
            ...(show ? { values: (_: uPlot, ticks: number[]) => ticks.map(show) } : {}),
          },
        ],
      },
      data,
      at,
    );
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: at.clientWidth, height }));
    sizes.observe(at);
    return () => {
      sizes.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, height, utc, isDark]);

  useEffect(() => plot.current?.setData(data), [data]);

  return (
    <div
      ref={box}
      class="plot"
      role="img"
      aria-label={label}
      style={{ minHeight: `${height}px` }}
    />
  );
}
