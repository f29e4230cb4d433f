// All jobs that the user may see, live; what is looked for stands in the address.
import { useEffect, useMemo, useState } from "preact/hooks";
import "./jobs.css";
import { useNow } from "../clock";
import { Icon } from "../components/icons";
import { Notice } from "../components/notice";
import { StatusMark, type Tone } from "../components/status";
import { type Column, Table } from "../components/table";
import { ago, bytes, count, dateTime } from "../format";
import { Bulk } from "../jobs/bulk";
import { type Filter, useJobs } from "../jobs/list";
import type { Job } from "../live";
import { Link, setQuery, usePlace } from "../router";
import { session } from "../session";
import { useStore } from "../store";

const GROUPS: readonly (readonly [Tone | "", string])[] = [
  ["", "All"],
  ["wait", "Waiting"],
  ["run", "Running"],
  ["good", "Completed"],
  ["bad", "Failed"],
  ["over", "Stopped or canceled"],
];
const TYPING_MS = 250;

function filterOf(query: URLSearchParams): Filter {
  const show = query.get("show") ?? "";
  return {
    show: GROUPS.find(([tone]) => tone === show)?.[0] ?? "",
    q: query.get("q") ?? "",
    owner: query.get("owner") ?? "",
    kind: query.get("kind") ?? "",
  };
}

export default function JobsPage() {
  const filter = filterOf(usePlace().query);
  const list = useJobs(filter);
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const chosen = useMemo(() => list.rows.filter((row) => marked.has(row.id)), [list.rows, marked]);
  const mark = (job: Job, on: boolean) => {
    const next = new Set(marked);
    if (on) next.add(job.id);
    else next.delete(job.id);
    setMarked(next);
  };
  const all = list.rows.length > 0 && chosen.length === list.rows.length;
  const box = (job: Job) => (
    <input
      type="checkbox"
      aria-label={`Mark ${job.name || job.id}`}
      checked={marked.has(job.id)}
      onChange={(event) => mark(job, event.currentTarget.checked)}
    />
  );
  const head = (
    <input
      type="checkbox"
      aria-label="Mark all that are loaded"
      checked={all}
      onChange={() => setMarked(new Set(all ? [] : list.rows.map((row) => row.id)))}
    />
  );
  const filtered = Boolean(filter.show || filter.q || filter.owner || filter.kind);
  return (
    <div class="fills">
      <h1>Jobs</h1>
      <Filters filter={filter} />
      <Bulk jobs={chosen} onClear={() => setMarked(new Set())} />
      {list.error && <Notice error={list.error} onRetry={list.reload} />}
      {list.incomplete && (
        <div class="notice">
          <p>{list.incomplete}</p>
        </div>
      )}
      <Table
        label="Jobs"
        rows={list.rows}
        keyOf={(row) => row.id}
        columns={[{ key: "mark", head, width: "1.25rem", cell: box }, ...COLUMNS]}
        card={(row) => (
          <div class="job-card">
            {box(row)}
            <Name job={row} />
            <StatusMark status={row.status} held={row.desired === "HOLD"} />
            <div class="under fine">
              <span>
                {row.kind} · {row.owner}
              </span>
              <Since iso={row.entered} />
            </div>
          </div>
        )}
        isMarked={(row) => marked.has(row.id)}
        onEnd={list.loadMore}
        empty={<Empty loading={list.loading} failed={list.error !== null} filtered={filtered} />}
        foot={list.rows.length > 0 && foot(list.rows.length, list.more, list.loading)}
      />
    </div>
  );
}

function foot(loaded: number, more: boolean, loading: boolean): string {
  if (loading) return "Loading more …";
  return more ? `${count(loaded, "job")} loaded; more below` : count(loaded, "job");
}

function Empty(props: { loading: boolean; failed: boolean; filtered: boolean }) {
  const { loading, failed, filtered } = props;
  if (failed) return <p>The jobs could not be read: see above.</p>;
  if (loading) return <p aria-busy="true">Loading …</p>;
  if (filtered) {
    return (
      <>
        <p>No job is like that.</p>
        <p>
          <Link to="/jobs">Show all jobs</Link>
        </p>
      </>
    );
  }
  return (
    <>
      <p>There are no jobs yet.</p>
      <p>
        <code>headrace exec run --follow -- echo hello</code> runs a first one.
      </p>
    </>
  );
}

function Filters({ filter }: { filter: Filter }) {
  const { me } = useStore(session);
  const [typed, setTyped] = useState(filter.q);
  useEffect(() => setTyped(filter.q), [filter.q]);
  useEffect(() => {
    if (typed === filter.q) return;
    const timer = setTimeout(() => setQuery({ q: typed.trim() }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, filter.q]);
  const mine = me?.name ?? "";
  return (
    <search class="filters">
      <div class="search">
        <Icon name="search" />
        <input
          type="search"
          aria-label="Part of a name or id"
          placeholder="Part of a name or id"
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
      </div>
      <fieldset class="chips">
        <legend class="visually-hidden">Status</legend>
        {GROUPS.map(([show, label]) => (
          <button
            key={show}
            type="button"
            class="button"
            aria-pressed={filter.show === show}
            onClick={() => setQuery({ show })}
          >
            {label}
          </button>
        ))}
      </fieldset>
      <label class="check">
        <input
          type="checkbox"
          checked={filter.owner === mine}
          onChange={(event) => setQuery({ owner: event.currentTarget.checked ? mine : "" })}
        />
        Mine only
      </label>
      {filter.kind && (
        <button type="button" class="button" onClick={() => setQuery({ kind: "" })}>
          Kind: {filter.kind} ✕
        </button>
      )}
      {filter.owner && filter.owner !== mine && (
        <button type="button" class="button" onClick={() => setQuery({ owner: "" })}>
          Owner: {filter.owner} ✕
        </button>
      )}
    </search>
  );
}

function Name({ job }: { job: Job }) {
  return (
    <span class="job-name">
      <Link to={`/jobs/${job.id}`}>{job.name || job.id}</Link>
    </span>
  );
}

/** A value of a row, by which the list can be cut down to its like. */
function Only({ name, value }: { name: "kind" | "owner"; value: string }) {
  return (
    <button
      type="button"
      class="jobs-only"
      title={`Only the ${name} ${value}`}
      onClick={() => setQuery({ [name]: value })}
    >
      {value}
    </button>
  );
}

function Since({ iso }: { iso: string }) {
  return (
    <time dateTime={iso} title={dateTime(iso)}>
      {ago(iso, useNow())}
    </time>
  );
}

const COLUMNS: readonly Column<Job>[] = [
  {
    key: "status",
    head: "Status",
    width: "9.5rem",
    cell: (job) => <StatusMark status={job.status} held={job.desired === "HOLD"} />,
  },
  { key: "name", head: "Name", width: "minmax(10rem, 3fr)", cell: (job) => <Name job={job} /> },
  {
    key: "id",
    head: "Id",
    width: "10.5rem",
    wide: true,
    cell: (job) => <span class="mono quiet">{job.id}</span>,
  },
  {
    key: "kind",
    head: "Kind",
    width: "minmax(5rem, 9rem)",
    cell: (job) => <Only name="kind" value={job.kind} />,
  },
  {
    key: "owner",
    head: "Owner",
    width: "minmax(5rem, 9rem)",
    cell: (job) => <Only name="owner" value={job.owner} />,
  },
  { key: "cpus", head: "CPUs", width: "3.5rem", cell: (job) => job.resources.cpus, end: true },
  {
    key: "memory",
    head: "Memory",
    width: "5rem",
    cell: (job) => bytes(job.resources.memory),
    end: true,
  },
  {
    key: "since",
    head: "Since",
    width: "6.5rem",
    cell: (job) => <Since iso={job.entered} />,
    end: true,
  },
];
