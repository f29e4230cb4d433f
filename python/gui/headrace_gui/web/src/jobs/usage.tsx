// What a job's workers use: CPUs, memory, disk and network over time, by rank.
import { useMemo } from "preact/hooks";
import "./usage.css";
import type { Schemas } from "../api";
import { SelectField } from "../components/form";
import { Notice } from "../components/notice";
import { Plot } from "../components/plot";
import { bytes, count, duration } from "../format";
import type { Job } from "../live";
import { setQuery, usePlace } from "../router";
import { rates, type Sample, useUsage } from "./usage-live";

type Usage = Schemas["UsageView"];
type Rank = Schemas["RankView"];
type Points = [number, number | null][];

export default function UsagePart({ job }: { job: Job }) {
  const { query } = usePlace();
  const attempt = Math.min(Number(query.get("attempt")) || job.attempt, job.attempt);
  const { usage, error } = useUsage(job, attempt);
  if (job.attempt < 1) return <p class="panel quiet">It has not started.</p>;
  if (error) return <Notice error={error} />;
  const rank = query.get("rank") ?? "";
  const ranks = (usage?.ranks ?? []).filter((each) => !rank || String(each.rank) === rank);
  return (
    <>
      <section class="panel" aria-labelledby="used">
        <div class="spread">
          <h2 id="used">Used of what it holds</h2>
          <div class="row usage-which">
            {job.attempt > 1 && (
              <SelectField
                label="Attempt"
                value={String(attempt)}
                onValue={(value) => setQuery({ attempt: value })}
                options={Array.from({ length: job.attempt }, (_, n) => {
                  const each = String(n + 1);
                  return [each, each] as const;
                })}
              />
            )}
            {(usage?.ranks.length ?? 0) > 1 && (
              <SelectField
                label="Rank"
                value={rank}
                onValue={(value) => setQuery({ rank: value })}
                options={[
                  ["", "all"],
                  ...(usage?.ranks ?? []).map(
                    (each) => [String(each.rank), `${each.rank} on ${each.node}`] as const,
                  ),
                ]}
              />
            )}
          </div>
        </div>
        <div class="usage-facts">{usage && <Summary usage={usage} />}</div>
      </section>
      <Plots ranks={ranks} />
    </>
  );
}

function Summary({ usage }: { usage: Usage }) {
  const { estimate } = usage;
  const facts: [string, string][] = [
    ["CPU time", duration(usage.cpu_s)],
    ["CPUs", `${usage.mean_cpus?.toFixed(2) ?? "–"} of ${usage.cpus} on average`],
    ["Memory", `${bytes(usage.peak_memory)} of ${bytes(usage.memory)} at most`],
  ];
  if (usage.efficiency !== null && usage.efficiency !== undefined) {
    facts.push(["Efficiency", `${Math.round(100 * usage.efficiency)} %`]);
  }
  if (usage.run_s) facts.push(["Ran", duration(usage.run_s)]);
  if (usage.time_limit_s) facts.push(["Time limit", duration(usage.time_limit_s)]);
  if (estimate) {
    const range = `${duration(estimate.p10_s)} to ${duration(estimate.p90_s)}`;
    facts.push(["Earlier runs", `${duration(estimate.p50_s)} (${range}), ${estimate.basis}`]);
  }
  if (usage.workers > usage.ranks.length) {
    facts.push(["Shown", `${usage.ranks.length} of ${count(usage.workers, "worker")}`]);
  }
  return (
    <>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd class="num">{value}</dd>
          </>
        ))}
      </dl>
      {(usage.advice ?? []).map((each) => (
        <p key={each} class="notice">
          {each}
        </p>
      ))}
    </>
  );
}

const perSecond = (value: number) => `${bytes(value)}/s`;
const cpus = (value: number) => (value < 10 ? value.toFixed(2) : value.toFixed(0));

function Plots({ ranks }: { ranks: readonly Rank[] }) {
  const memory = (sample: Sample): [number, number] => [
    Date.parse(sample.at) / 1000,
    sample.memory,
  ];
  const network = ranks.some((each) => each.samples.some((sample) => sample.received !== null));
  return (
    <div class="plots">
      <OverTime
        title="CPUs in use"
        ranks={ranks}
        show={cpus}
        points={(rank) => [["", rates(rank.samples, (sample) => sample.cpu_s)]]}
      />
      <OverTime
        title="Memory"
        ranks={ranks}
        show={bytes}
        points={(rank) => [["", rank.samples.map(memory)]]}
      />
      <OverTime
        title="Disk"
        ranks={ranks}
        show={perSecond}
        points={(rank) => [
          ["read", rates(rank.samples, (sample) => sample.read)],
          ["written", rates(rank.samples, (sample) => sample.written)],
        ]}
      />
      {network && (
        <OverTime
          title="Network"
          ranks={ranks}
          show={perSecond}
          points={(rank) => [
            ["received", rates(rank.samples, (sample) => sample.received)],
            ["sent", rates(rank.samples, (sample) => sample.sent)],
          ]}
        />
      )}
    </div>
  );
}

interface OverTimeProps {
  title: string;
  ranks: readonly Rank[];
  points: (rank: Rank) => [string, Points][];
  show: (value: number) => string;
}

function OverTime({ title, ranks, points, show }: OverTimeProps) {
  const lines = useMemo(
    () =>
      ranks.flatMap((rank) =>
        points(rank).map(([what, told]) => ({
          label: [ranks.length > 1 || !what ? `rank ${rank.rank}` : "", what]
            .filter(Boolean)
            .join(" "),
          told,
        })),
      ),
    [ranks],
  );
  const data = useMemo(() => aligned(lines.map((each) => each.told)), [lines]);
  const last = lines[0]?.told.at(-1)?.[1];
  return (
    <section class="panel" aria-label={title}>
      <h3>
        {title}
        {lines.length === 1 && last !== null && last !== undefined && (
          <span class="fine num"> {show(last)}</span>
        )}
      </h3>
      {lines.length ? (
        <Plot
          label={`${title} over time`}
          data={data}
          lines={lines}
          show={show}
          height={200}
          fromZero
        />
      ) : (
        <p class="quiet plot-room">No samples yet; one is taken about every 5 s.</p>
      )}
    </section>
  );
}

/** Lines of their own times as uPlot wants them: all times once, null where a line has none. */
function aligned(lines: readonly Points[]): [number[], ...(number | null | undefined)[][]] {
  const times = [...new Set(lines.flatMap((line) => line.map(([at]) => at)))].sort(
    (one, other) => one - other,
  );
  const values = lines.map((line) => {
    const known = new Map(line);
    // undefined: nothing was looked at then, and the line goes on; null: it has a gap.
    return times.map((at) => known.get(at));
  });
  return [times, ...values];
}
