// The gauges of a result: on a map coloured by a metric, and in a table that can be sorted.
import { useMemo } from "preact/hooks";
import { ShapeMap } from "../components/map";
import { type Column, Table } from "../components/table";
import type { Colors, MapLayer } from "../map/shapes";
import { setQuery, usePlace } from "../router";
import {
  change,
  type Gauge,
  loss,
  type Metric,
  metricOf,
  quantile,
  type Run,
  scoreOf,
  shown,
  titled,
} from "./result";

interface Props {
  runs: readonly Run[];
  run: Run;
  metrics: readonly (readonly [string, Metric])[];
  chosen: readonly [string, Metric];
  gauge: string | null;
}

/** Of the values, so many at each end have the colour of the end: one bad gauge hides no other. */
const OUTER = 0.05;

export function Gauges(props: Props) {
  const { run, chosen, gauge } = props;
  const [name, metric] = chosen;
  const found = run.result.said.locations;
  const layers = useMemo<readonly MapLayer[]>(
    () => [{ name: "gauges", shapes: placed(found, run, name) }],
    [found, run, name],
  );
  const colors = useMemo<Colors>(() => {
    const values = found.flatMap((each) => metricOf(run, each.id, name) ?? []);
    return {
      kind: "scale",
      label: `${titled(name, metric)} of ${run.label}`,
      low: quantile(values, OUTER) ?? 0,
      high: quantile(values, 1 - OUTER) ?? 1,
      show: (value) => shown(metric, value),
    };
  }, [found, run, name, metric]);
  const marked = useMemo(() => new Set(gauge ? [gauge] : []), [gauge]);
  const drawn = layers[0]?.shapes.length ?? 0;
  return (
    <div class={drawn ? "evaluation-places" : ""}>
      {drawn > 0 && (
        <section class="panel" aria-labelledby="map">
          <h2 id="map">
            Map <span class="fine">choose a gauge to see its hydrograph</span>
          </h2>
          <ShapeMap
            label={`Gauges by ${metric.title}`}
            layers={layers}
            colors={colors}
            chosen={marked}
            onChoose={(ids) => {
              const other = [...ids].find((id) => id !== gauge);
              if (other) setQuery({ gauge: other });
            }}
            height={330}
          />
          <p class="fine">
            The colours run over the middle 90 % of the gauges; those outside have the colour of
            the end.
            {drawn < found.length &&
              ` ${(found.length - drawn).toLocaleString()} gauges tell no place.`}
          </p>
        </section>
      )}
      <GaugeTable {...props} />
    </div>
  );
}

function placed(found: readonly Gauge[], run: Run, metric: string) {
  return found.flatMap(({ id, name, lon, lat }) =>
    lon === null || lat === null
      ? []
      : [
          {
            id,
            label: name,
            value: metricOf(run, id, metric),
            geometry: { type: "Point" as const, coordinates: [lon, lat] },
          },
        ],
  );
}

type Key = { text: string } | { number: number | null };

function GaugeTable({ runs, run, metrics, chosen, gauge }: Props) {
  const asked = usePlace().query.get("sort") ?? chosen[0];
  const down = asked.startsWith("-");
  const sort = down ? asked.slice(1) : asked;
  const columns = useMemo(
    () => (runs.length > 1 ? compared(runs, chosen) : whole(run, metrics)),
    [runs, run, metrics, chosen[0]],
  );
  const found = run.result.said.locations;
  const rows = useMemo(() => {
    const key = columns.find((each) => each.key === sort)?.by ?? ((each) => ({ text: each.id }));
    const keyed = found.map((each) => [key(each), each] as const);
    keyed.sort(([a, one], [b, other]) => order(a, b, down) || (one.id < other.id ? -1 : 1));
    return keyed.map(([, each]) => each);
  }, [found, columns, sort, down]);
  const pick = (each: Gauge) => (
    <button
      type="button"
      class="evaluation-pick"
      aria-pressed={each.id === gauge}
      onClick={() => setQuery({ gauge: each.id })}
    >
      {each.id}
    </button>
  );
  return (
    <section
      class="evaluation-gauges"
      aria-label="Gauges"
      style={{ "--evaluation-columns": `${18 + 6.5 * (columns.length - 2)}rem` }}
    >
      <Table
        label="Gauges"
        rows={rows}
        keyOf={(each) => each.id}
        isMarked={(each) => each.id === gauge}
        columns={columns.map(({ by: _, title, ...each }) => ({
          ...each,
          ...(each.key === "gauge" ? { cell: pick } : {}),
          sort: each.key === sort ? (down ? "descending" : "ascending") : undefined,
          head: (
            <button
              type="button"
              class="evaluation-sort"
              onClick={() =>
                setQuery({ sort: each.key === sort && !down ? `-${each.key}` : each.key })
              }
            >
              {title}
              {each.key === sort && <span aria-hidden="true">{down ? " ▼" : " ▲"}</span>}
            </button>
          ),
        }))}
        card={(each) => (
          <div>
            {pick(each)} <span class="fine">{each.name}</span>
            <div class="fine">
              {columns
                .slice(2)
                .map((column) => [column.title, column.cell(each)] as const)
                .map(([title, cell], at) => (
                  <span key={title}>
                    {at > 0 && " · "}
                    {runs.length === 1 && `${title} `}
                    {cell}
                  </span>
                ))}
            </div>
          </div>
        )}
        empty="The result has no gauge."
      />
    </section>
  );
}

/** Without a value comes last, whichever way. */
function order(a: Key, b: Key, down: boolean): number {
  const way = down ? -1 : 1;
  if ("text" in a && "text" in b) return way * (a.text < b.text ? -1 : a.text > b.text ? 1 : 0);
  const [one, other] = ["number" in a ? a.number : null, "number" in b ? b.number : null];
  if (one === null || other === null) return Number(one === null) - Number(other === null);
  return way * (one - other);
}

interface Sorted extends Column<Gauge> {
  title: string;
  by: (gauge: Gauge) => Key;
}

const NAMES: readonly Sorted[] = [
  {
    key: "gauge",
    title: "Gauge",
    head: null,
    width: "6.5rem",
    cell: (each) => each.id,
    by: (each) => ({ text: each.id }),
  },
  {
    key: "name",
    title: "Name",
    head: null,
    width: "minmax(8rem, 3fr)",
    cell: (each) => <span title={each.name}>{each.name}</span>,
    by: (each) => ({ text: each.name }),
  },
];

/** Of one run: every metric. */
function whole(run: Run, metrics: Props["metrics"]): readonly Sorted[] {
  return [
    ...NAMES,
    {
      key: "n",
      title: "Pairs",
      head: null,
      width: "4rem",
      end: true,
      cell: (each) => scoreOf(run, each.id)?.n.toLocaleString() ?? "–",
      by: (each) => ({ number: scoreOf(run, each.id)?.n ?? null }),
    },
    ...metrics.map(([name, metric]) => valued(run, name, metric, name, titled(name, metric))),
  ];
}

/** Of several runs: the chosen metric of each, and how it changed from the first. */
function compared(runs: readonly Run[], [name, metric]: Props["chosen"]): readonly Sorted[] {
  const [first, ...others] = runs;
  if (!first) return NAMES;
  return [
    ...NAMES,
    valued(first, name, metric, name, first.label),
    ...others.flatMap((run, at) => [
      valued(run, name, metric, `run${at + 1}`, run.label),
      changed(first, run, name, metric, `change${at + 1}`),
    ]),
  ];
}

function valued(run: Run, name: string, metric: Metric, key: string, title: string): Sorted {
  return {
    key,
    title,
    head: null,
    width: "minmax(5.5rem, 1fr)",
    end: true,
    cell: (each) => {
      const of = scoreOf(run, each.id);
      return (
        <span title={of?.note ?? of?.reasons?.[name]}>{shown(metric, of?.scores[name])}</span>
      );
    },
    by: (each) => ({ number: metricOf(run, each.id, name) }),
  };
}

/** How much nearer to the best value a run is than the first one. */
function changed(first: Run, run: Run, name: string, metric: Metric, key: string): Sorted {
  const both = (each: Gauge) =>
    [metricOf(first, each.id, name), metricOf(run, each.id, name)] as const;
  return {
    key,
    title: "Change",
    head: null,
    width: "minmax(6rem, 1fr)",
    end: true,
    cell: (each) => {
      const [before, now] = both(each);
      if (before === null || now === null) return "–";
      const went = change(metric, before, now);
      const word = went > 0 ? "better" : went < 0 ? "worse" : "same";
      return (
        <span class={word}>
          {went > 0 ? "▲ " : went < 0 ? "▼ " : ""}
          {shown(metric, now - before)}
          <span class="visually-hidden"> {word}</span>
        </span>
      );
    },
    by: (each) => {
      const [before, now] = both(each);
      return {
        number: before === null || now === null ? null : loss(metric, before) - loss(metric, now),
      };
    },
  };
}
