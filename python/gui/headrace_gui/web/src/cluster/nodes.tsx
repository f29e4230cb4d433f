// A node: what it has, who holds how much of it, what lies in its cache, what may be done to it.
import type { ComponentChildren } from "preact";
import type { Schemas } from "../api";
import { Bar } from "../components/bar";
import { bytes, count, dateTime } from "../format";
import type { Job } from "../live";
import { Link } from "../router";
import { NodeActions } from "./node-actions";

export type Node = Schemas["NodeView"];

const LISTED = 8;
const STATES: Record<Schemas["NodeState"], { tone: string; shape: string; word: string }> = {
  UP: { tone: "good", shape: "✓", word: "Up" },
  FULL: { tone: "bad", shape: "!", word: "Disk full" },
  DRAINED: { tone: "over", shape: "‖", word: "Drained" },
  LOST: { tone: "bad", shape: "✕", word: "Lost" },
};
const ABOUT: Record<Schemas["NodeState"], string> = {
  UP: "It takes new work.",
  FULL: "Its disk has too little room: what runs goes on, nothing new comes.",
  DRAINED: "What runs there goes on, nothing new comes.",
  LOST: "Its agent has said nothing for 10 s or more; its jobs run again elsewhere.",
};

interface NodeCardProps {
  node: Node;
  jobs: ReadonlyMap<string, Job>;
  admin: boolean;
}

export function NodeCard({ node, jobs, admin }: NodeCardProps) {
  const state = STATES[node.state];
  const heading = `node-${node.id}`;
  return (
    <li class="panel cluster-node" aria-labelledby={heading}>
      <div class="spread">
        <h3 id={heading}>{node.id}</h3>
        <span class={`status ${state.tone}`} title={ABOUT[node.state]}>
          <span class="shape" aria-hidden="true">
            {state.shape}
          </span>
          {state.word}
        </span>
      </div>
      {node.state !== "UP" && <p class="fine">{ABOUT[node.state]}</p>}
      <Windows node={node} />
      {(node.state !== "LOST" || Boolean(node.jobs?.length)) && (
        <>
          <Allocations node={node} jobs={jobs} />
          <Stock node={node} />
        </>
      )}
      <Labels node={node} />
      {admin && <NodeActions node={node} />}
    </li>
  );
}

interface Held {
  key: string;
  id: string;
  job: Job | undefined;
  cpus: number;
  memory: number;
}

/** What each job of the node holds there, as far as one may see it. */
function heldOn(node: Node, jobs: ReadonlyMap<string, Job>): Held[] {
  return (node.jobs ?? []).map((key) => {
    const id = key.slice(0, key.lastIndexOf("."));
    const job = jobs.get(id);
    const shares = (job?.allocation ?? []).filter((share) => share.node === node.id);
    return {
      key,
      id,
      job,
      cpus: shares.reduce((sum, share) => sum + share.cpus, 0),
      memory: shares.reduce((sum, share) => sum + share.memory, 0),
    };
  });
}

const cpus = (value: number) => value.toLocaleString(undefined, { maximumFractionDigits: 1 });

function Allocations({ node, jobs }: { node: Node; jobs: ReadonlyMap<string, Job> }) {
  const held = heldOn(node, jobs);
  const all = node.usable ?? node.capacity;
  const rows = held.slice(0, LISTED);
  return (
    <>
      <Parts
        label="CPUs"
        held={held}
        amount={(each) => each.cpus}
        of={all.cpus}
        free={node.free?.cpus}
        show={cpus}
      />
      <Parts
        label="Memory"
        held={held}
        amount={(each) => each.memory}
        of={all.memory}
        free={node.free?.memory}
        show={bytes}
      />
      {Boolean(all.gpus) && (
        <Bar
          label="GPUs"
          used={(all.gpus ?? 0) - (node.free?.gpus ?? all.gpus ?? 0)}
          of={all.gpus}
          text={`${node.free?.gpus ?? 0} of ${all.gpus} free`}
          calm
        />
      )}
      <ul class="cluster-jobs" aria-label={`Jobs on ${node.id}`}>
        {rows.map((each, at) => (
          <li key={each.key}>
            <span class={`cluster-key part-${at % 5}`} aria-hidden="true" />
            <Link to={`/jobs/${each.id}`}>{each.job?.name || each.id}</Link>
            <span class="fine num">
              {each.job ? `${count(each.cpus, "CPU")}, ${bytes(each.memory)}` : "…"}
            </span>
          </li>
        ))}
        {held.length > LISTED && <li class="fine">and {held.length - LISTED} more</li>}
        {held.length === 0 && <li class="fine">No job that you may see is here.</li>}
      </ul>
    </>
  );
}

interface PartsProps {
  label: string;
  held: readonly Held[];
  amount: (held: Held) => number;
  of: number;
  free: number | undefined;
  show: (value: number) => string;
}

/** A bar with a part for each job, and one for what others hold. */
function Parts({ label, held, amount, of, free, show }: PartsProps) {
  const seen = held.reduce((sum, each) => sum + amount(each), 0);
  const taken = free === undefined ? seen : Math.max(of - free, 0);
  const others = Math.max(taken - seen, 0);
  const width = (value: number) => ({ width: `${of ? Math.min(100, (value / of) * 100) : 0}%` });
  const text = `${show(taken)} of ${show(of)} taken`;
  return (
    <div class="bar">
      <div class="bar-words">
        <span>{label}</span>
        <span class="num">{text}</span>
      </div>
      <div
        class="bar-track"
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={of ? Math.min(100, Math.round((taken / of) * 100)) : 0}
        aria-valuetext={text}
      >
        {held.map((each, at) => (
          <div
            key={each.key}
            class={`bar-part cluster-part part-${at % 5}`}
            title={`${each.job?.name || each.id}: ${show(amount(each))}`}
            style={width(amount(each))}
          />
        ))}
        {others > of / 1000 && (
          <div
            class="bar-part cluster-others"
            title={`others' jobs: ${show(others)}`}
            style={width(others)}
          />
        )}
      </div>
    </div>
  );
}

/** Disk and cache, told by the agent about once a minute. */
function Stock({ node }: { node: Node }) {
  const has = node.inventory;
  if (!has) return <p class="fine">Its agent has not told yet what it holds.</p>;
  const used = has.disk - has.disk_free;
  return (
    <>
      <Bar
        label="Disk"
        used={used}
        of={has.disk}
        text={`${bytes(has.disk_free)} of ${bytes(has.disk)} free`}
      />
      <p class="fine">
        Cached inputs: {bytes(has.cached.size)} in {count(has.cached.files, "file")},{" "}
        {count(has.cached.datasets, "whole dataset")}. Workers are{" "}
        {has.engine ? `containers (${has.backend} ${has.engine})` : "processes"}.
      </p>
    </>
  );
}

function Labels({ node }: { node: Node }) {
  const labels: [string, ComponentChildren][] = Object.entries(node.labels ?? {}).map(
    ([name, value]) => [`label ${name}`, value ? `${name}=${value}` : name],
  );
  const pools: [string, ComponentChildren][] = (node.pools ?? []).map((pool) => [
    `pool ${pool}`,
    `pool ${pool}`,
  ]);
  if (labels.length + pools.length === 0) return null;
  return (
    <ul class="cluster-labels" aria-label={`Labels and pools of ${node.id}`}>
      {[...pools, ...labels].map(([key, text]) => (
        <li key={key}>{text}</li>
      ))}
    </ul>
  );
}

function Windows({ node }: { node: Node }) {
  return (
    <>
      {(node.maintenance ?? []).map((window) => (
        <p key={window.begin} class="notice fine">
          <span>
            Maintenance from <time title={window.begin}>{dateTime(window.begin)}</time> to{" "}
            <time title={window.end}>{dateTime(window.end)}</time>
            {window.why && `: ${window.why}`}
          </span>
        </p>
      ))}
    </>
  );
}
