// The whole cluster at a glance, live: capacity, queue, nodes, maintenance, services.
import { useEffect, useState } from "preact/hooks";
import "./cluster.css";
import { type ApiError, asApiError } from "../api";
import { Capacity, useLastHour } from "../cluster/capacity";
import { Health } from "../cluster/health";
import { Maintenance } from "../cluster/maintenance";
import { type Node, NodeCard } from "../cluster/nodes";
import { useOpenJobs } from "../cluster/open";
import { Queue } from "../cluster/queue";
import { Notice } from "../components/notice";
import { bytes, count } from "../format";
import { follow } from "../live";
import { session } from "../session";
import { useStore } from "../store";

export default function ClusterPage() {
  const admin = useStore(session).me?.role === "admin";
  const hour = useLastHour();
  const open = useOpenJobs();
  const { nodes, error } = useNodes();
  const last = hour?.at(-1)?.at;
  return (
    <>
      <div class="spread">
        <h1>Cluster</h1>
        <p class="quiet cluster-sum">{nodes && summary(nodes)}</p>
      </div>
      {error && <Notice error={error} />}
      <div class="cluster-top">
        <Maintenance admin={admin} told={last} />
        <Health nodes={nodes} last={last} />
      </div>
      <Capacity hour={hour} />
      <Queue open={open} />
      <section aria-labelledby="nodes">
        <h2 id="nodes">Nodes</h2>
        {nodes?.length === 0 && (
          <p class="quiet cluster-none">No node has joined: nothing can start.</p>
        )}
        <ul class="cluster-nodes">
          {nodes?.map((node) => (
            <NodeCard key={node.id} node={node} jobs={open.jobs} admin={admin} />
          ))}
        </ul>
        {!nodes && !error && <div class="loading" aria-busy="true" />}
      </section>
    </>
  );
}

function summary(nodes: readonly Node[]): string {
  const there = nodes.filter((node) => node.state !== "LOST");
  const usable = there.map((node) => node.usable ?? node.capacity);
  const cpus = usable.reduce((sum, each) => sum + each.cpus, 0);
  const memory = usable.reduce((sum, each) => sum + each.memory, 0);
  const lost = nodes.length - there.length;
  return `${count(there.length, "node")}, ${count(cpus, "CPU")}, ${bytes(memory)}${lost ? `; ${lost} lost` : ""}`;
}

function useNodes(): { nodes: readonly Node[] | null; error: ApiError | null } {
  const [nodes, setNodes] = useState<readonly Node[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(
    () =>
      follow({ topic: "nodes" }, (message) => {
        if (message.type === "nodes") {
          setNodes(message.nodes.toSorted((a, b) => a.id.localeCompare(b.id)));
        } else if (message.type === "error") setError(asApiError(new Error(message.detail)));
      }),
    [],
  );
  return { nodes, error };
}
