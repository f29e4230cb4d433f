// An evaluation that is not over: its scores as its worker writes them.
import { Notice } from "../components/notice";
import { isClosed, StatusMark } from "../components/status";
import { type Column, Table } from "../components/table";
import { count } from "../format";
import type { Job } from "../live";
import { Link } from "../router";
import { useLines } from "./subject";

type Said =
  | {
      kind: "score";
      gauge: string;
      run: string;
      n: string;
      scores: Map<string, string>;
      rest: string;
    }
  | { kind: "progress"; done: number; of: number };
type Score = Extract<Said, { kind: "score" }>;

/** A line `SCORE 01472000 run n=551 nse=0.875 …` or `HEADRACE_PROGRESS 3/101`. */
export function meant(line: string): Said | null {
  const progress = /^HEADRACE_PROGRESS (\d+)\/(\d+)$/.exec(line);
  if (progress) return { kind: "progress", done: Number(progress[1]), of: Number(progress[2]) };
  const score = /^SCORE (\S+)(?: (\S+))? n=(\d+) (.*)$/.exec(line);
  if (!score) return null;
  const [, gauge = "", run = "", n = "", rest = ""] = score;
  const pairs = rest.split(" ").map((each) => each.split("="));
  const scored = pairs.every((pair) => pair.length === 2);
  const scores = new Map(scored ? pairs.map(([name = "", value = ""]) => [name, value]) : []);
  return { kind: "score", gauge, run, n, scores, rest: scored ? "" : rest };
}

export function Scoring({ job }: { job: Job }) {
  const { found, error } = useLines(job, meant);
  const rows = found.filter((each): each is Score => each.kind === "score");
  const last = found.findLast((each) => each.kind === "progress");
  const names = [...new Set(rows.flatMap((row) => [...row.scores.keys()]))];
  const columns: Column<Score>[] = [
    { key: "gauge", head: "Gauge", width: "minmax(7rem, 1fr)", cell: (row) => row.gauge },
    { key: "run", head: "Run", width: "minmax(4rem, 1fr)", cell: (row) => row.run || "–" },
    { key: "n", head: "Pairs", width: "4.5rem", cell: (row) => row.n, end: true },
    ...names.map((name) => ({
      key: name,
      head: name,
      width: "minmax(5rem, 1fr)",
      cell: (row: Score) => row.scores.get(name)?.replace("-", "−") ?? row.rest,
      end: true,
    })),
  ];
  return (
    <>
      <div class="spread">
        <div class="row">
          <h1>{job.name || job.id}</h1>
          <StatusMark status={job.status} held={job.desired === "HOLD"} />
        </div>
        <Link to={`/jobs/${job.id}`} class="button">
          The job
        </Link>
      </div>
      {job.detail && (
        <div class={`notice ${job.cause ? "bad" : ""}`}>
          <p>{job.detail}</p>
        </div>
      )}
      {error && <Notice error={error} />}
      <p role="status" class="quiet">
        {last?.kind === "progress"
          ? `${last.done.toLocaleString()} of ${count(last.of, "gauge")} scored`
          : "No gauge is scored yet."}
      </p>
      {last?.kind === "progress" && (
        <progress aria-label="Gauges scored" value={last.done} max={last.of} />
      )}
      <div class="evaluation-gauges">
        <Table
          label="Scores so far"
          rows={rows}
          keyOf={(row) => `${row.gauge} ${row.run}`}
          columns={columns}
          card={(row) => (
            <>
              <b>{row.gauge}</b> {row.run}
              <div class="fine">
                {row.rest ||
                  [...row.scores].map(([name, value]) => `${name} ${value}`).join(" · ")}
              </div>
            </>
          )}
          empty={
            isClosed(job.status) ? "It ended without a score." : "Scores come as they are made."
          }
        />
      </div>
    </>
  );
}
