// Observed against simulated over time: zoom by drawing over the plot or the strip below it.
import { useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { CheckField } from "../components/form";
import { LINE_COLORS } from "../components/plot";
import { colorOf } from "../theme";
import { axis, brief, Chart, type Options, UTC } from "./chart";
import { type Named, positive, together } from "./series";

interface Props {
  gauge: string;
  runs: readonly Named[];
  unit: string;
}

interface Span {
  min: number;
  max: number;
}

/** The colour of a run, everywhere on the page; what was observed has that of text. */
export function runColor(at: number): string {
  return LINE_COLORS[at % LINE_COLORS.length] ?? "--accent";
}

export function Hydrograph({ gauge, runs, unit }: Props) {
  const [log, setLog] = useState(false);
  const [span, setSpan] = useState<Span | null>(null);
  const main = useRef<uPlot | null>(null);
  const strip = useRef<uPlot | null>(null);
  const whole = useMemo(() => together(runs), [runs]);
  const data = useMemo(() => (log ? positive(whole) : whole), [whole, log]);
  const times = whole[0];
  const all: Span = { min: times[0] ?? 0, max: times[times.length - 1] ?? 0 };
  const seen = span ?? all;

  /** Show a span in both plots; null: everything. */
  const show = (wanted: Span | null) => {
    const next = wanted && within(wanted, all);
    setSpan(next);
    main.current?.setScale("x", next ?? all);
    mark(strip.current, next);
  };
  const zoom = (by: number) => {
    const half = ((seen.max - seen.min) * by) / 2;
    const middle = (seen.max + seen.min) / 2;
    show({ min: middle - half, max: middle + half });
  };
  const move = (by: number) => {
    const wide = seen.max - seen.min;
    const min = Math.min(Math.max(all.min, seen.min + wide * by), all.max - wide);
    show({ min, max: min + wide });
  };

  const lines = () => [
    {
      label: "Observed",
      stroke: colorOf("--text"),
      width: 2.5,
      fill: faded(colorOf("--text")),
    },
    ...runs.map((run, at) => ({ label: run.label, stroke: colorOf(runColor(at)), width: 1.25 })),
  ];
  const options = (): Options => ({
    tzDate: UTC,
    cursor: { drag: { x: true, y: false }, bind: { dblclick: () => () => null } },
    scales: { y: log ? { distr: 3 } : { range: (_, min, max) => [Math.min(0, min), max * 1.05] } },
    series: [
      { value: (_, time) => (time === null ? "–" : dayOf(time)) },
      ...lines().map((line) => ({
        ...line,
        value: (_: uPlot, value: number | null) => `${brief(value)}`,
      })),
    ],
    axes: [axis(), { ...axis(unit), size: 62, values: (_, ticks) => ticks.map(tick) }],
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 4) return;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          show({ min: plot.posToVal(left, "x"), max: plot.posToVal(left + width, "x") });
        },
      ],
    },
  });
  const small = (): Options => ({
    tzDate: UTC,
    legend: { show: false },
    cursor: {
      drag: { x: true, y: false, setScale: false },
      points: { show: false },
      bind: { dblclick: () => () => null },
    },
    scales: { y: { range: (_, min, max) => [Math.min(0, min), max * 1.05] } },
    series: [{}, ...lines().slice(0, 1)],
    axes: [axis(), { ...axis(), size: 62, values: () => [] }],
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          show(
            width < 4
              ? null
              : { min: plot.posToVal(left, "x"), max: plot.posToVal(left + width, "x") },
          );
        },
      ],
    },
  });
  const shape = `${gauge} ${unit} ${log} ${runs.map((run) => run.label).join("|")}`;
  return (
    <div class="hydrograph">
      <div class="spread">
        <div class="row">
          {(
            [
              ["Earlier", () => move(-0.5), !span],
              ["Later", () => move(0.5), !span],
              ["Zoom in", () => zoom(0.5), false],
              ["Zoom out", () => zoom(2), !span],
              ["Whole period", () => show(null), !span],
            ] as const
          ).map(([label, work, off]) => (
            <button key={label} type="button" class="button" disabled={off} onClick={work}>
              {label}
            </button>
          ))}
        </div>
        <CheckField label="Logarithmic" checked={log} onValue={setLog} />
      </div>
      <p class="fine num" role="status">
        {dayOf(seen.min)} to {dayOf(seen.max)}, UTC, the begins of steps. Draw over a plot to zoom.
      </p>
      <Chart
        label={`Hydrograph of ${gauge}: observed and ${runs.map((run) => run.label).join(", ")}, ${unit}`}
        data={data}
        height={300}
        options={options}
        shape={shape}
        onPlot={(plot) => {
          main.current = plot;
          if (span) plot?.setScale("x", span);
        }}
      />
      <Chart
        label={`The whole period of ${gauge}: draw over it to zoom`}
        data={whole.slice(0, 2) as unknown as uPlot.AlignedData}
        height={104}
        options={small}
        shape={shape}
        onPlot={(plot) => {
          strip.current = plot;
          mark(plot, span);
        }}
      />
    </div>
  );
}

function within(span: Span, all: Span): Span | null {
  const found = { min: Math.max(all.min, span.min), max: Math.min(all.max, span.max) };
  const whole = found.min <= all.min && found.max >= all.max;
  return whole || found.max <= found.min ? null : found;
}

/** Show a span as what is selected on the strip. */
function mark(plot: uPlot | null, span: Span | null): void {
  if (!plot) return;
  const left = span ? plot.valToPos(span.min, "x") : 0;
  const width = span ? plot.valToPos(span.max, "x") - left : 0;
  plot.setSelect({ left, top: 0, width, height: plot.over.clientHeight }, false);
}

/** A time as its day, and its hour where it is not midnight. */
export function dayOf(seconds: number): string {
  const text = new Date(seconds * 1000).toISOString();
  return text.slice(11, 16) === "00:00" ? text.slice(0, 10) : text.slice(0, 16).replace("T", " ");
}

function faded(color: string): string {
  return color.replace("rgb(", "rgba(").replace(")", ", 0.1)");
}

function tick(value: number | null): string {
  return value === null ? "" : value.toLocaleString(undefined, { maximumSignificantDigits: 4 });
}
