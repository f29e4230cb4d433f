// The tasks of an array: where each is, and why it failed.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, api, asApiError, type Schemas } from "../api";
import { Notice } from "../components/notice";
import { Table } from "../components/table";
import { count } from "../format";
import type { Job } from "../live";
import { Link, setQuery, usePlace } from "../router";
import { useProgress } from "./live-job";

type Task = Schemas["TaskView"];
type State = Schemas["TaskState"];

const STATES: readonly State[] = ["WAITING", "RUNNING", "DONE", "FAILED"];
const MARKS: Record<State, [string, string, string]> = {
  WAITING: ["wait", "◷", "Waits"],
  RUNNING: ["run", "▶", "Running"],
  DONE: ["good", "✓", "Done"],
  FAILED: ["bad", "✕", "Failed"],
};
const LOWER = { WAITING: "waiting", RUNNING: "running", DONE: "done", FAILED: "failed" } as const;
const PAGE = 200;

export default function Tasks({ job }: { job: Job }) {
  const state = STATES.find((each) => each === usePlace().query.get("state")) ?? "";
  const { rows, more, error, loadMore, again } = useTasks(job, state);
  return (
    <div class="job-table tall">
      <div class="row" role="group" aria-label="Tasks that are">
        {(["", ...STATES] as const).map((each) => (
          <button
            key={each}
            type="button"
            class="button"
            aria-pressed={each === state}
            onClick={() => setQuery({ state: each })}
          >
            {each ? MARKS[each][2] : "All"}
          </button>
        ))}
      </div>
      {error && <Notice error={error} onRetry={again} />}
      <Table
        label="Tasks"
        rows={rows}
        keyOf={(task) => String(task.index)}
        empty={state ? "No task is like that." : "No task yet."}
        onEnd={loadMore}
        foot={more ? "…" : rows.length > 0 && count(rows.length, "task")}
        columns={[
          { key: "index", head: "Task", width: "5rem", cell: (task) => task.index },
          { key: "state", head: "State", width: "8rem", cell: (task) => <Mark task={task} /> },
          {
            key: "failures",
            head: "Failures",
            width: "5rem",
            end: true,
            cell: (task) => task.failures ?? 0,
          },
          { key: "why", head: "Why", width: "minmax(10rem, 1fr)", cell: whyOf },
          {
            key: "logs",
            head: "Output",
            width: "5rem",
            cell: (task) => <LogLink job={job} task={task} />,
          },
        ]}
        card={(task) => (
          <>
            <div class="spread">
              <span>
                <strong>{task.index}</strong> <Mark task={task} />
              </span>
              <LogLink job={job} task={task} />
            </div>
            <div class="fine">{whyOf(task)}</div>
          </>
        )}
      />
    </div>
  );
}

function Mark({ task }: { task: Task }) {
  const [tone, shape, word] = MARKS[task.state];
  return (
    <span class={`status ${tone}`}>
      <span class="shape" aria-hidden="true">
        {shape}
      </span>
      {word}
    </span>
  );
}

function LogLink({ job, task }: { job: Job; task: Task }) {
  return (
    <Link
      to={`/jobs/${job.id}?tab=logs&task=${task.index}`}
      aria-label={`Logs of task ${task.index}`}
    >
      Logs
    </Link>
  );
}

function whyOf({ cause, exit_code, detail }: Task): string {
  const exit = exit_code === null || exit_code === undefined ? "" : `exit code ${exit_code}`;
  return [cause, detail || exit].filter(Boolean).join(", ");
}

interface TaskList {
  rows: readonly Task[];
  more: boolean;
  error: ApiError | null;
  loadMore: () => void;
  again: () => void;
}

/** Pages of tasks; what is loaded is read again when the job says that it has moved. */
function useTasks(job: Job, state: State | ""): TaskList {
  const [list, setList] = useState<{ rows: readonly Task[]; cursor: string | null }>({
    rows: [],
    cursor: null,
  });
  const [error, setError] = useState<ApiError | null>(null);
  const progress = useProgress(job);
  const [round, setRound] = useState(0);
  const now = useRef(list);
  now.current = list;
  const busy = useRef(false);

  const read = useCallback(
    async (cursor: string | null, signal?: AbortSignal) =>
      api.get("/api/v1/jobs/{job}/tasks", {
        path: { job: job.id },
        query: {
          limit: PAGE,
          ...(state ? { state: LOWER[state] } : {}),
          ...(cursor ? { cursor } : {}),
        },
        ...(signal ? { signal } : {}),
      }),
    [job.id, state],
  );

  useEffect(() => {
    now.current = { rows: [], cursor: null };
    setList(now.current);
  }, [job.id, state]);

  useEffect(() => {
    const cancel = new AbortController();
    const anew = async () => {
      const loaded = Math.max(1, now.current.rows.length);
      const rows: Task[] = [];
      let cursor: string | null = null;
      do {
        const page: Schemas["TaskPage"] = await read(cursor, cancel.signal);
        rows.push(...page.tasks);
        cursor = page.cursor;
      } while (cursor && rows.length < loaded);
      setList({ rows, cursor });
      setError(null);
    };
    anew().catch((failed: unknown) => {
      if (!cancel.signal.aborted) setError(asApiError(failed));
    });
    return () => cancel.abort();
  }, [read, job.version, progress, round]);

  const loadMore = useCallback(() => {
    const { cursor } = now.current;
    if (!cursor || busy.current) return;
    busy.current = true;
    read(cursor)
      .then((page) => {
        if (now.current.cursor !== cursor) return;
        setList((old) => ({ rows: [...old.rows, ...page.tasks], cursor: page.cursor }));
      })
      .catch((failed: unknown) => setError(asApiError(failed)))
      .finally(() => {
        busy.current = false;
      });
  }, [read]);

  return {
    rows: list.rows,
    more: list.cursor !== null,
    error,
    loadMore,
    again: () => setRound((n) => n + 1),
  };
}
