// Results of evaluations and calibrations, and the jobs that make some now.
import { useEffect, useState } from "preact/hooks";
import "../evaluation/evaluation.css";
import { useNow } from "../clock";
import { Notice } from "../components/notice";
import { isClosed, StatusMark } from "../components/status";
import { type Column, Table } from "../components/table";
import { listed } from "../evaluation/list";
import { type Dataset, nameOf } from "../evaluation/result";
import { useFetched } from "../fetched";
import { ago, count, dateTime } from "../format";
import { useJobs } from "../jobs/list";
import type { Job } from "../live";
import { Link, navigate } from "../router";

const KINDS = {
  evaluation: { format: "EVALUATION_RESULT", title: "Evaluations" },
  calibration: { format: "CALIBRATION_RESULT", title: "Calibrations" },
} as const;
type Kind = keyof typeof KINDS;

export default function EvaluationsPage() {
  return (
    <>
      <h1>Evaluation</h1>
      <Part kind="evaluation" />
      <Part kind="calibration" />
    </>
  );
}

function Part({ kind }: { kind: Kind }) {
  const { format, title } = KINDS[kind];
  const jobs = useJobs({ show: "", q: "", owner: "", kind });
  const open = jobs.rows.filter((job) => !isClosed(job.status));
  const over = jobs.rows.filter((job) => job.status === "CLOSED:COMPLETED").length;
  const results = useFetched(format, (signal) => listed(format, signal));
  useEffect(results.again, [over]); // one that ended has made one
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const rows = results.value ?? [];
  const chosen = rows.filter((row) => marked.has(row.id)).map((row) => row.id);
  return (
    <section class="evaluation-lists" aria-labelledby={kind}>
      <div class="spread">
        <h2 id={kind}>
          {title} <span class="fine">{results.value && count(rows.length, "result")}</span>
        </h2>
        {kind === "evaluation" && (
          <button
            type="button"
            class="button"
            disabled={chosen.length < 2}
            onClick={() => navigate(`/evaluation/${chosen[0]}?with=${chosen.slice(1).join(",")}`)}
          >
            Compare {chosen.length > 1 ? chosen.length : "marked"}
          </button>
        )}
      </div>
      {jobs.error && <Notice error={jobs.error} onRetry={jobs.reload} />}
      {results.error && <Notice error={results.error} onRetry={results.again} />}
      {open.length > 0 && (
        <ul class="panel evaluation-open" aria-label={`${title} that run or wait`}>
          {open.map((job) => (
            <Open key={job.id} job={job} kind={kind} />
          ))}
        </ul>
      )}
      <div class="evaluation-results">
        <Table
          label={title}
          rows={rows}
          keyOf={(row) => row.id}
          columns={[
            ...(kind === "evaluation" ? [markColumn(marked, setMarked)] : []),
            ...columnsOf(kind),
          ]}
          card={(row) => (
            <div>
              <div class="row">
                {kind === "evaluation" && <Mark row={row} marked={marked} onMark={setMarked} />}
                <Link to={`/${kind}/${row.id}`} title={row.title}>
                  {nameOf(row)}
                </Link>
              </div>
              <div class="fine">
                {row.owner} · {about(row)}
              </div>
            </div>
          )}
          isMarked={(row) => marked.has(row.id)}
          empty={
            results.loading ? (
              <p aria-busy="true">Loading …</p>
            ) : (
              <p>
                There is no result yet. <code>headrace init - --kind {kind}</code> shows a job file
                that makes one.
              </p>
            )
          }
        />
      </div>
    </section>
  );
}

function Open({ job, kind }: { job: Job; kind: Kind }) {
  return (
    <li class="row">
      <StatusMark status={job.status} held={job.desired === "HOLD"} />
      <Link to={`/${kind}/${job.id}`}>{job.name || job.id}</Link>
      <span class="fine">
        {job.owner} · <time title={dateTime(job.entered)}>{ago(job.entered, useNow())}</time>
      </span>
    </li>
  );
}

interface MarkProps {
  row: Dataset;
  marked: ReadonlySet<string>;
  onMark: (marked: ReadonlySet<string>) => void;
}

function Mark({ row, marked, onMark }: MarkProps) {
  return (
    <input
      type="checkbox"
      aria-label={`Mark ${row.title}`}
      checked={marked.has(row.id)}
      onChange={(event) => {
        const next = new Set(marked);
        if (event.currentTarget.checked) next.add(row.id);
        else next.delete(row.id);
        onMark(next);
      }}
    />
  );
}

function markColumn(
  marked: ReadonlySet<string>,
  onMark: (marked: ReadonlySet<string>) => void,
): Column<Dataset> {
  return {
    key: "mark",
    head: <span class="visually-hidden">Mark</span>,
    width: "1.25rem",
    cell: (row) => <Mark row={row} marked={marked} onMark={onMark} />,
  };
}

function columnsOf(kind: Kind): readonly Column<Dataset>[] {
  return [
    {
      key: "title",
      head: "Result",
      width: "minmax(10rem, 3fr)",
      cell: (row) => (
        <Link to={`/${kind}/${row.id}`} title={row.title}>
          {nameOf(row)}
        </Link>
      ),
    },
    { key: "about", head: "Of", width: "minmax(8rem, 2fr)", cell: about },
    { key: "owner", head: "Owner", width: "minmax(4rem, 8rem)", cell: (row) => row.owner },
    {
      key: "made",
      head: "Made",
      width: "7rem",
      cell: (row) => <Made iso={row.created} />,
      end: true,
    },
  ];
}

function Made({ iso }: { iso: string }) {
  return (
    <time dateTime={iso} title={dateTime(iso)}>
      {ago(iso, useNow())}
    </time>
  );
}

/** The period and how many gauges, as far as the dataset's domain tells. */
function about(row: Dataset): string {
  const domain = row.domain as Record<string, unknown>;
  const gauges = domain.GAUGE_ID;
  const ids = typeof gauges === "string" ? [gauges] : Array.isArray(gauges) ? gauges : [];
  return ids.length === 1 ? String(ids[0]) : ids.length ? count(ids.length, "gauge") : "–";
}
