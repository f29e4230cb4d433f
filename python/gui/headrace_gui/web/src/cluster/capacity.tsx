// What the cluster was like: CPUs, memory and jobs over the last hour, day or two weeks.
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, type Schemas } from "../api";
import { Notice } from "../components/notice";
import { Plot } from "../components/plot";
import { useFetched } from "../fetched";
import { follow } from "../live";
import { setQuery, usePlace } from "../router";

export type Point = Schemas["PointView"];

const RANGES = [
  ["", "Hour", "10s"],
  ["day", "Day", "1m"],
  ["weeks", "Two weeks", "15m"],
] as const;
const HOUR_POINTS = 360;

/** The last hour, live. */
export function useLastHour(): readonly Point[] | null {
  const [points, setPoints] = useState<readonly Point[] | null>(null);
  useEffect(
    () =>
      follow({ topic: "cluster" }, (message) => {
        if (message.type !== "cluster") return;
        const told = message.series.points;
        setPoints((old) => {
          const begin = told[0]?.at;
          // After a gap the hour is told anew: what was known of that time makes room.
          const kept = begin ? (old ?? []).filter((each) => each.at < begin) : (old ?? []);
          return [...kept, ...told].slice(-HOUR_POINTS);
        });
      }),
    [],
  );
  return points;
}

export function Capacity({ hour }: { hour: readonly Point[] | null }) {
  const range = usePlace().query.get("range") ?? "";
  const [shown, , step] = RANGES.find(([each]) => each === range) ?? RANGES[0];
  const past = useFetched(shown ? step : null, (signal) =>
    api.get("/api/v1/cluster/series", { query: { step }, signal }),
  );
  // The longer series are not told live: they are read again when their next step is over.
  const last = hour?.at(-1)?.at;
  const due = last ? Math.floor(Date.parse(last) / (shown === "day" ? 60_000 : 900_000)) : 0;
  useEffect(() => {
    if (shown && due) past.again();
  }, [due]);
  const points = shown ? past.value?.points : hour;
  return (
    <section class="panel" aria-labelledby="capacity">
      <div class="spread">
        <h2 id="capacity">Capacity over time</h2>
        <fieldset class="cluster-ranges" aria-label="How far back">
          {RANGES.map(([each, label]) => (
            <button
              key={each}
              type="button"
              class="button"
              aria-pressed={shown === each}
              onClick={() => setQuery({ range: each })}
            >
              {label}
            </button>
          ))}
        </fieldset>
      </div>
      {past.error && <Notice error={past.error} onRetry={past.again} />}
      <Plots points={points ?? []} />
    </section>
  );
}

const GIB = 2 ** 30;
const gib = (value: number) => `${cpus(value)} GiB`;
const cpus = (value: number) => `${Math.round(value * 10) / 10}`;
const PLOT_PX = 150;

function Plots({ points }: { points: readonly Point[] }) {
  const { cpu, memory, jobs } = useMemo(() => {
    const at = points.map((each) => Date.parse(each.at) / 1000);
    return {
      cpu: [at, points.map((p) => p.cpus - p.cpus_free), points.map((p) => p.cpus)],
      memory: [
        at,
        points.map((p) => (p.memory - p.memory_free) / GIB),
        points.map((p) => p.memory / GIB),
      ],
      jobs: [at, points.map((p) => p.running), points.map((p) => p.waiting)],
    } satisfies Record<string, [number[], number[], number[]]>;
  }, [points]);
  const taken = { label: "taken", fill: true };
  const all = { label: "all", color: "--quiet" };
  return (
    <div class="cluster-plots">
      <figure>
        <figcaption>CPUs</figcaption>
        <Plot
          label={spoken("CPUs", cpu, cpus)}
          data={cpu}
          lines={[taken, all]}
          height={PLOT_PX}
          show={cpus}
        />
      </figure>
      <figure>
        <figcaption>Memory</figcaption>
        <Plot
          label={spoken("Memory", memory, gib)}
          data={memory}
          lines={[taken, all]}
          height={PLOT_PX}
          show={gib}
        />
      </figure>
      <figure>
        <figcaption>Jobs</figcaption>
        <Plot
          label={`Jobs over time; now ${jobs[1].at(-1) ?? 0} run and ${jobs[2].at(-1) ?? 0} wait`}
          data={jobs}
          lines={[{ label: "with nodes" }, { label: "waiting", color: "--line-2" }]}
          height={PLOT_PX}
          show={cpus}
        />
      </figure>
    </div>
  );
}

function spoken(what: string, data: readonly number[][], show: (value: number) => string): string {
  const [, taken, all] = data;
  return `${what} over time; now ${show(taken?.at(-1) ?? 0)} of ${show(all?.at(-1) ?? 0)} are taken`;
}
