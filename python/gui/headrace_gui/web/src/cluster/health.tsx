// How the services are, as far as the public API tells: it answers, it is live, points come.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { errorOf, raw, type Schemas } from "../api";
import { useNow } from "../clock";
import { useFetched } from "../fetched";
import { ago, clock } from "../format";
import { liveState } from "../live";
import { useStore } from "../store";
import type { Node } from "./nodes";

/** The monitor keeps a point each 10 s: one that is older says that it does not. */
const LATE_MS = 45_000;

async function ready(): Promise<Schemas["HealthView"]> {
  const answer = await raw("/health/ready");
  if (!answer.ok) throw await errorOf(answer);
  return answer.json();
}

interface HealthProps {
  nodes: readonly Node[] | null;
  /** When the newest point of the cluster was. */
  last: string | undefined;
}

export function Health({ nodes, last }: HealthProps) {
  const live = useStore(liveState);
  const now = useNow();
  const read = useFetched("ready", ready);
  useEffect(() => {
    if (read.value || read.error) read.again();
  }, [live.kind]);
  const up = nodes?.filter((node) => node.state !== "LOST").length ?? 0;
  const late = last ? now - Date.parse(last) > LATE_MS : false;
  return (
    <section class="panel" aria-labelledby="health">
      <h2 id="health">Services</h2>
      <ul class="cluster-health" aria-label="Services">
        <Row
          what="Request service"
          good={read.error ? false : read.value ? true : null}
          said={read.error?.detail ?? (read.value ? `ready, version ${read.value.version}` : "…")}
        />
        <Row
          what="Live updates"
          good={live.kind === "live" ? true : live.kind === "stale" ? false : null}
          said={live.kind === "stale" ? `not since ${clock(new Date(live.since))}` : "connected"}
        />
        <Row
          what="Monitor"
          good={last ? !late : null}
          said={last ? `looked at the cluster ${ago(last, now)}` : "no point of it yet"}
        />
        <Row
          what="Agents"
          good={nodes ? up === nodes.length && up > 0 : null}
          said={nodes ? `${up} of ${nodes.length} answer` : "…"}
        />
      </ul>
      <p class="fine">
        The public API tells no more of the services; on their machine <code>headrace doctor</code>{" "}
        does.
      </p>
    </section>
  );
}

function Row({
  what,
  good,
  said,
}: {
  what: string;
  good: boolean | null;
  said: ComponentChildren;
}) {
  const tone = good === null ? "wait" : good ? "good" : "bad";
  return (
    <li>
      <span class={`status ${tone}`}>
        <span class="shape" aria-hidden="true">
          {good === null ? "◷" : good ? "✓" : "✕"}
        </span>
        {what}
      </span>
      <span class="fine">{said}</span>
    </li>
  );
}
