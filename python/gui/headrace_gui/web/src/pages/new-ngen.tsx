// A run of ngen, put together from data that is there: where, when, with what.
import { useEffect, useState } from "preact/hooks";
import "./new-ngen.css";
import { api } from "../api";
import { CheckField, TextField } from "../components/form";
import { Notice } from "../components/notice";
import type { Category, Dataset, Span } from "../datasets/domain";
import { useFetched } from "../fetched";
import { keepDraft } from "../newjob/draft";
import { type Fabric, isDrawn, readFabric, readPartitions } from "../newjob/fabric";
import { at, ngenText, type Run, timeText } from "../newjob/ngen";
import { Catchments } from "../newjob/ngen-catchments";
import { Configs, Forcings, Pick } from "../newjob/ngen-data";
import { Link, navigate, setQuery, usePlace } from "../router";

const NOTHING: Run = {
  fabric: null,
  catchments: new Set(),
  begin: "",
  end: "",
  forcing: null,
  configs: [],
  partition: null,
  ranks: 1,
  routing: false,
};
const PAGE = 500;
const EMPTY: Fabric = { catchments: [], areas: [], points: [], to: new Map() };

async function sealed(category: Category, signal: AbortSignal): Promise<readonly Dataset[]> {
  const query = { category, state: "SEALED", limit: PAGE } as const;
  return (await api.get("/api/v1/datasets", { query, signal })).datasets;
}

export default function NewNgenPage() {
  const [run, setRun] = useState(NOTHING);
  const set = (some: Partial<Run>) => setRun((now) => ({ ...now, ...some }));
  const wanted = usePlace().query.get("fabric") ?? "";
  const data = useFetched("data", async (signal) => {
    const [fabrics, forcings, configs] = await Promise.all([
      sealed("HYDROFABRIC", signal),
      sealed("FORCING", signal),
      sealed("CONFIG", signal),
    ]);
    return { fabrics, forcings, configs };
  });
  const fabric = data.value?.fabrics.find((each) => each.id === wanted) ?? null;
  useEffect(() => set({ fabric, catchments: new Set() }), [fabric?.id]);
  const drawn = useFetched(fabric?.id ?? null, (signal) => readFabric(fabric as Dataset, signal));
  const { partition } = run;
  const parts = useFetched(partition?.id ?? null, (signal) =>
    readPartitions(partition as Dataset, signal),
  );
  const shown = drawn.value ?? EMPTY;
  const asked: Span | null = at(run.begin) < at(run.end) ? [at(run.begin), at(run.end)] : null;
  const bad = run.begin && run.end && !asked ? "The end is a time after the begin." : null;
  const goOn = () => {
    keepDraft({ text: ngenText(run, shown.catchments.length), files: {}, from: "" });
    navigate("/new");
  };
  return (
    <>
      <p class="fine">
        <Link to="/new">New job</Link> / a run of NextGen
      </p>
      <h1>A run of NextGen</h1>
      {data.error && <Notice error={data.error} onRetry={data.again} />}
      {data.value?.fabrics.length === 0 && (
        <p class="notice">
          <span>
            There is no hydrofabric yet. <Link to="/datasets/new">Upload one</Link>, with the
            category HYDROFABRIC.
          </span>
        </p>
      )}
      <div class="ngen-columns">
        <section class="panel form" aria-labelledby="where">
          <h2 id="where">Where</h2>
          <Pick
            label="Hydrofabric"
            help="GeoJSON is drawn on a map; of a GeoPackage the ids are listed."
            none="– choose one –"
            datasets={data.value?.fabrics ?? []}
            chosen={fabric}
            onChoose={(next) => setQuery({ fabric: next?.id ?? "" })}
          />
          {drawn.error && <Notice error={drawn.error} onRetry={drawn.again} />}
          {fabric && drawn.value && (
            <Catchments
              key={fabric.id}
              title={fabric.title}
              fabric={drawn.value}
              partitions={(partition && parts.value) || NO_PARTS}
              chosen={run.catchments}
              onChoose={(catchments) => set({ catchments })}
            />
          )}
          {fabric && !drawn.value && !drawn.error && (
            <div class={isDrawn(fabric) ? "ngen-room" : ""} aria-busy="true">
              Reading {fabric.title} …
            </div>
          )}
        </section>
        <div class="ngen-side">
          <section class="panel form" aria-labelledby="when">
            <h2 id="when">When, with which weather</h2>
            <div class="ngen-time">
              <TextField
                label="Begin (UTC)"
                placeholder="2015-12-01"
                value={run.begin}
                onValue={(begin) => set({ begin })}
              />
              <TextField
                label="End (UTC)"
                placeholder="2015-12-31T06:00Z"
                value={run.end}
                problem={bad}
                onValue={(end) => set({ end })}
              />
            </div>
            <Forcings
              forcings={data.value?.forcings ?? []}
              chosen={run.forcing}
              catchments={run.catchments.size ? [...run.catchments] : shown.catchments}
              begin={run.begin}
              end={run.end}
              asked={asked}
              onChoose={(forcing) => set({ forcing })}
              onTime={([begin, end]) => set({ begin: timeText(begin), end: timeText(end) })}
            />
          </section>
          <section class="panel form" aria-labelledby="with">
            <h2 id="with">With what</h2>
            <Configs
              configs={(data.value?.configs ?? []).filter((each) => !isPartition(each))}
              chosen={run.configs}
              onChoose={(configs) => set({ configs })}
            />
            <TextField
              label="Ranks"
              type="number"
              min={1}
              help="How many parts run side by side, each with a CPU and 512 MiB."
              value={String(run.ranks)}
              onValue={(typed) => set({ ranks: Math.max(1, Math.floor(Number(typed)) || 1) })}
            />
            <Pick
              label="Partitions"
              help="Which rank has which catchments; drawn on the map."
              none="– made by itself, if there are several ranks –"
              datasets={(data.value?.configs ?? []).filter(isPartition)}
              chosen={partition}
              onChoose={(next) => set({ partition: next })}
            />
            {parts.error && <Notice error={parts.error} onRetry={parts.again} />}
            {partition && parts.value && parts.value.length !== run.ranks && (
              <p class="ngen-told">
                It has {parts.value.length} partitions: as many ranks are needed.{" "}
                <button
                  type="button"
                  class="button"
                  onClick={() => set({ ranks: parts.value?.length ?? 1 })}
                >
                  Take {parts.value.length} ranks
                </button>
              </p>
            )}
            <CheckField
              label="Route the flow (t-route follows)"
              checked={run.routing}
              onValue={(routing) => set({ routing })}
            />
          </section>
          <button type="button" class="button primary" disabled={!fabric || !asked} onClick={goOn}>
            Go on to plan and submit
          </button>
        </div>
      </div>
    </>
  );
}

const NO_PARTS: never[] = [];
const isPartition = (dataset: Dataset) => dataset.format === "NGEN_PARTITION_CONFIG";
