// Where a job's data came from and what became of what it made, as a graph with links.
import "./lineage.css";
import { api } from "../api";
import { Notice } from "../components/notice";
import { toneOf } from "../components/status";
import type { Job } from "../live";
import { navigate } from "../router";
import { BOX, type Laid, laidOut, type Node } from "./lineage-layout";
import { useFresh } from "./live-job";

export default function LineagePart({ job }: { job: Job }) {
  const read = useFresh(job, "lineage", (signal) =>
    api.get("/api/v1/jobs/{job}/lineage", {
      path: { job: job.id },
      query: { depth: 5, limit: 200 },
      signal,
    }),
  );
  const { value } = read;
  return (
    <section class="panel" aria-labelledby="lineage">
      <h2 id="lineage">Lineage</h2>
      {read.error && <Notice error={read.error} onRetry={read.again} />}
      <div class="lineage-room">{value && <Graph laid={laidOut(value)} root={value.root} />}</div>
      {value?.cut && <p class="quiet">There is more: only what is near is drawn.</p>}
      {value?.incomplete && <p class="quiet">{value.incomplete}</p>}
    </section>
  );
}

function Graph({ laid, root }: { laid: Laid; root: string }) {
  const { width, height, places, ways } = laid;
  return (
    <div class="lineage-scroll" tabIndex={0} role="group" aria-label="Graph of jobs and datasets">
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} class="lineage">
        <title>Jobs and datasets, from what came first to what came of it</title>
        <defs>
          <marker
            id="lineage-tip"
            viewBox="0 0 8 8"
            refX="8"
            refY="4"
            markerWidth="7"
            markerHeight="7"
            orient="auto"
          >
            <path d="M0 0 8 4 0 8z" class="tip" />
          </marker>
        </defs>
        {ways.map(({ edge, path, middle }) => (
          <g key={`${edge.source} ${edge.target} ${edge.name}`}>
            <path d={path} class="way" marker-end="url(#lineage-tip)" />
            {edge.name && (
              <text x={middle.x} y={middle.y} class="way-name" text-anchor="middle">
                {cut(edge.name, 14)}
              </text>
            )}
          </g>
        ))}
        {places.map(({ node, x, y }) => (
          <Box key={node.id} node={node} x={x} y={y} isRoot={node.id === root} />
        ))}
      </svg>
    </div>
  );
}

function Box({ node, x, y, isRoot }: { node: Node; x: number; y: number; isRoot: boolean }) {
  const { name, state } = node;
  const tone = node.node === "job" ? toneOf(state) : "dataset";
  const body = (
    <>
      <rect
        x={x}
        y={y}
        width={BOX.width}
        height={BOX.height}
        rx={node.node === "job" ? 6 : 20}
        class={`box ${tone} ${isRoot ? "root" : ""}`}
      />
      <text x={x + 14} y={y + 19} class="name">
        {name === null ? "not to be seen" : cut(name, 26)}
        <title>{name ?? node.id}</title>
      </text>
      <text x={x + 14} y={y + 36} class="state">
        {node.node}, {state.slice(state.indexOf(":") + 1).toLowerCase()}
      </text>
    </>
  );
  if (name === null || isRoot || state === "GONE") return <g>{body}</g>;
  const to = node.node === "job" ? `/jobs/${node.id}` : `/datasets/${node.id}`;
  return (
    <a
      href={to}
      aria-label={`${node.node} ${name}`}
      onClick={(event) => {
        if (event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        navigate(to);
      }}
    >
      {body}
    </a>
  );
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
