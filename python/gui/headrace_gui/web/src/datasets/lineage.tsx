// Where a dataset comes from, and what came of it.
import { useState } from "preact/hooks";
import { api, type Schemas } from "../api";
import { Notice } from "../components/notice";
import { wordOf } from "../components/status";
import { useFetched } from "../fetched";
import { Link } from "../router";
import type { Dataset } from "./domain";

type View = Schemas["LineageView"];
type Node = Schemas["LineageNode"];

const DEPTHS = [4, 12, 40];

export function Lineage({ dataset }: { dataset: Dataset }) {
  const [deep, setDeep] = useState(0);
  const depth = DEPTHS[deep] ?? 4;
  const read = useFetched(`${dataset.id} ${dataset.state} ${depth}`, (signal) =>
    api.get("/api/v1/datasets/{dataset}/lineage", {
      path: { dataset: dataset.id },
      query: { depth },
      signal,
    }),
  );
  const view = read.value;
  return (
    <section class="panel dataset-lineage" aria-labelledby="lineage">
      <h2 id="lineage">Where it comes from, and what came of it</h2>
      {read.error && <Notice error={read.error} onRetry={read.again} />}
      {view && (
        <div>
          <h3>It came from</h3>
          <Way view={view} at={view.root} back none="files that somebody uploaded or imported." />
          <h3>What came of it</h3>
          <Way view={view} at={view.root} back={false} none="No job took it yet." />
          {view.cut && (
            <p class="fine row">
              There is more than is shown.
              {deep + 1 < DEPTHS.length && (
                <button type="button" class="button" onClick={() => setDeep(deep + 1)}>
                  Look further
                </button>
              )}
            </p>
          )}
          {view.incomplete && <p class="fine">{view.incomplete}</p>}
        </div>
      )}
    </section>
  );
}

interface WayProps {
  view: View;
  at: string;
  back: boolean;
  none?: string;
  seen?: readonly string[];
}

function Way({ view, at, back, none = "", seen = [] }: WayProps) {
  const steps = view.edges
    .filter((edge) => (back ? edge.target : edge.source) === at)
    .map((edge) => ({ edge, id: back ? edge.source : edge.target }));
  if (!steps.length) return none ? <p class="quiet">{none}</p> : null;
  return (
    <ul>
      {steps.map(({ edge, id }) => {
        const node = view.nodes.find((each) => each.id === id);
        if (!node) return null;
        return (
          <li key={`${id} ${edge.name ?? ""}`}>
            <NodeName node={node} />{" "}
            <span class="fine">
              {edge.attempt ? `made it as ${edge.name ?? "…"}` : edge.name && `as ${edge.name}`}
            </span>
            {!seen.includes(id) && <Way {...{ view, back, at: id, seen: [...seen, at] }} />}
          </li>
        );
      })}
    </ul>
  );
}

function NodeName({ node }: { node: Node }) {
  const job = node.node === "job";
  const state = job ? wordOf(node.state) : node.state.toLowerCase();
  if (node.name === null) {
    return <span class="quiet">a {job ? "job" : "dataset"} that you may not see</span>;
  }
  const gone = node.state === "GONE" || node.state === "DELETED" || node.state === "TOMBSTONED";
  const name = node.name || node.id;
  return (
    <>
      {job ? "job " : "dataset "}
      {gone ? name : <Link to={`/${job ? "jobs" : "datasets"}/${node.id}`}>{name}</Link>}{" "}
      <span class="fine">({state})</span>
    </>
  );
}
