// A job's workers: on which node each runs, how far it is, what it holds and uses.
import { useMemo } from "preact/hooks";
import type { Schemas } from "../api";
import { Notice } from "../components/notice";
import { Table } from "../components/table";
import { bytes, count, duration } from "../format";
import type { Job } from "../live";
import { Link } from "../router";
import { useProgress } from "./live-job";
import { useUsage } from "./usage-live";

interface Worker {
  rank: number;
  node: string;
  cpus: number;
  memory: number;
  used: Schemas["RankView"] | undefined;
  progress: Schemas["RankProgressView"] | undefined;
}

export default function Workers({ job }: { job: Job }) {
  const { usage, error } = useUsage(job, job.attempt);
  const progress = useProgress(job);
  const workers = useMemo(() => {
    const told = new Map(
      progress?.attempt === job.attempt ? progress.ranks.map((each) => [each.rank, each]) : [],
    );
    const used = new Map(usage?.ranks.map((each) => [each.rank, each]));
    const held = usage?.ranks.length
      ? usage.ranks
      : job.allocation.map((share, rank) => ({ rank, ...share }));
    return held.map(
      ({ rank, node, cpus, memory }): Worker => ({
        rank,
        node,
        cpus,
        memory,
        used: used.get(rank),
        progress: told.get(rank),
      }),
    );
  }, [usage, progress, job.allocation]);
  const nodes = [...new Set(workers.map((each) => each.node))];
  return (
    <>
      {error && <Notice error={error} />}
      <section class="panel" aria-labelledby="by-node">
        <h2 id="by-node">By node</h2>
        {nodes.length === 0 && <p class="quiet">None yet.</p>}
        <ul class="by-node">
          {nodes.map((node) => {
            const own = workers.filter((each) => each.node === node);
            const sum = (of: (worker: Worker) => number) =>
              own.reduce((all, each) => all + of(each), 0);
            return (
              <li key={node}>
                <strong>{node}</strong>
                <span class="fine num">
                  {count(own.length, "worker")} ·{" "}
                  {count(
                    sum((each) => each.cpus),
                    "CPU",
                  )}{" "}
                  · {bytes(sum((each) => each.memory))}
                </span>
              </li>
            );
          })}
        </ul>
      </section>
      <div class="job-table">
        <Table
          label="Workers"
          rows={workers}
          keyOf={(worker) => String(worker.rank)}
          empty="No worker yet."
          columns={[
            { key: "rank", head: "Rank", width: "4rem", cell: (worker) => worker.rank },
            {
              key: "node",
              head: "Node",
              width: "minmax(7rem, 2fr)",
              cell: (worker) => worker.node,
            },
            { key: "step", head: "Progress", width: "minmax(9rem, 2fr)", cell: progressOf },
            { key: "cpus", head: "CPUs used", width: "8rem", end: true, cell: cpusOf },
            { key: "memory", head: "Memory, most", width: "11rem", end: true, cell: memoryOf },
            {
              key: "logs",
              head: "Output",
              width: "5rem",
              cell: (worker) => <LogLink job={job} worker={worker} />,
            },
          ]}
          card={(worker) => (
            <>
              <div class="spread">
                <strong>
                  {worker.rank} on {worker.node}
                </strong>
                <LogLink job={job} worker={worker} />
              </div>
              <div class="fine num">
                {progressOf(worker)} · {cpusOf(worker)} CPUs · {memoryOf(worker)}
              </div>
            </>
          )}
          foot={
            usage && usage.workers > usage.ranks.length
              ? `${usage.ranks.length} of ${count(usage.workers, "worker")} are shown.`
              : undefined
          }
        />
      </div>
    </>
  );
}

function LogLink({ job, worker }: { job: Job; worker: Worker }) {
  return (
    <Link
      to={`/jobs/${job.id}?tab=logs&rank=${worker.rank}`}
      aria-label={`Logs of rank ${worker.rank}`}
    >
      Logs
    </Link>
  );
}

function progressOf({ progress }: Worker): string {
  if (!progress) return "–";
  const { percent, step, of, model_time, seconds_left } = progress;
  return [
    percent !== null && `${percent.toFixed(0)} %`,
    step !== null && (of === null ? `step ${step}` : `step ${step} of ${of}`),
    model_time !== null && `at ${model_time}`,
    seconds_left !== null && `${duration(seconds_left)} left`,
  ]
    .filter(Boolean)
    .join(", ");
}

function cpusOf({ used, cpus }: Worker): string {
  return `${used?.mean_cpus?.toFixed(2) ?? "–"} of ${cpus}`;
}

function memoryOf({ used, memory }: Worker): string {
  return `${bytes(used?.peak_memory)} of ${bytes(memory)}`;
}
