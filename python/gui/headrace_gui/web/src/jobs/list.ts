// The list of jobs: pages of the API, kept true by what is told live.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, api, asApiError } from "../api";
import { toneOf } from "../components/status";
import { follow, type Job, type Message } from "../live";
import { onRenewed } from "../session";

/** Groups of statuses, as a person looks for them. */
export const SHOWN = {
  wait: [
    "ACCEPTED",
    "AWAITING_PREREQUISITES",
    "AWAITING_DATA_CHECK",
    "AWAITING_DERIVATION",
    "AWAITING_ALLOCATION",
    "AWAITING_DATA",
    "AWAITING_SCHEDULING",
  ],
  run: ["SCHEDULED", "RUNNING", "STOPPING", "AWAITING_COLLECTION"],
  good: ["COMPLETED"],
  bad: ["FAILED", "DATA_UNPROVIDEABLE", "DATA_FAILURE"],
  over: ["CANCELED", "STOPPED"],
} as const;
export type Group = keyof typeof SHOWN;

export interface Filter {
  show: Group | "";
  q: string;
  owner: string;
  kind: string;
}

export interface JobList {
  rows: readonly Job[];
  /** Whether there are more than those that were loaded. */
  more: boolean;
  loading: boolean;
  error: ApiError | null;
  /** What the server could not look through, as a sentence. */
  incomplete: string | null;
  loadMore: () => void;
  reload: () => void;
}

interface State {
  rows: readonly Job[];
  cursor: string | null;
  started: boolean;
  loading: boolean;
  error: ApiError | null;
  incomplete: string | null;
}

/** The first view is to come soon; who scrolls wants few requests. */
const FIRST = 60;
const PAGE = 500;
const NOTHING: State = {
  rows: [],
  cursor: null,
  started: false,
  loading: true,
  error: null,
  incomplete: null,
};

export function useJobs(filter: Filter): JobList {
  const [state, setState] = useState<State>(NOTHING);
  const [round, setRound] = useState(0);
  const now = useRef(state);
  now.current = state;
  const change = useCallback((next: (old: State) => State) => {
    now.current = next(now.current);
    setState(now.current);
  }, []);
  const key = JSON.stringify(filter);
  const busy = useRef<AbortController | null>(null);

  const load = useCallback(
    async (cursor: string | null) => {
      if (busy.current) return;
      const cancel = new AbortController();
      busy.current = cancel;
      change((old) => ({ ...old, loading: true, error: null }));
      try {
        const page = await api.get("/api/v1/jobs", {
          query: {
            ...queryOf(filter),
            limit: cursor ? PAGE : FIRST,
            ...(cursor ? { cursor } : {}),
          },
          signal: cancel.signal,
        });
        if (cancel.signal.aborted) return;
        change((old) => ({
          rows: joined(old.rows, page.jobs),
          cursor: page.cursor ?? null,
          started: true,
          loading: false,
          error: null,
          incomplete: page.incomplete ?? null,
        }));
      } catch (error) {
        if (!cancel.signal.aborted) {
          change((old) => ({ ...old, loading: false, error: asApiError(error) }));
        }
      } finally {
        if (busy.current === cancel) busy.current = null;
      }
    },
    [key],
  );

  useEffect(() => {
    change((old) => (round ? { ...old, loading: true } : NOTHING));
    const news: Job[] = [];
    let frame = 0;
    const apply = () => {
      frame = 0;
      const told = news.splice(0);
      change((old) => ({ ...old, rows: moved(old.rows, told, filter) }));
    };
    const stop = follow(
      {
        topic: "jobs",
        ...(filter.kind ? { kind: filter.kind } : {}),
        ...(filter.owner ? { owner: filter.owner } : {}),
        ...(filter.q ? { q: filter.q } : {}),
      },
      (message: Message) => {
        if (message.type === "resync") setRound((n) => n + 1);
        if (message.type === "snapshot") {
          const known = new Set(now.current.rows.map((row) => row.id));
          news.push(...message.jobs.filter((job) => known.has(job.id)));
        }
        if (message.type === "job") news.push(message.job);
        if (news.length) frame ||= requestAnimationFrame(apply);
      },
    );
    void load(null);
    return () => {
      stop();
      cancelAnimationFrame(frame);
      busy.current?.abort();
      busy.current = null;
    };
  }, [key, round]);

  // What the end of the session refused is read once somebody has signed in.
  useEffect(
    () => onRenewed(() => now.current.error?.status === 401 && setRound((n) => n + 1)),
    [],
  );

  return {
    rows: state.rows,
    more: state.cursor !== null,
    loading: state.loading,
    error: state.error,
    incomplete: state.incomplete,
    loadMore: useCallback(() => {
      const { cursor, error } = now.current;
      if (cursor && !error) void load(cursor);
    }, [load]),
    reload: useCallback(() => setRound((n) => n + 1), []),
  };
}

function queryOf({ show, q, owner, kind }: Filter): Record<string, string> {
  const asked = { q, owner, kind, status: show ? SHOWN[show].join(",") : "" };
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value));
}

function newer(one: Job, other: Job): Job {
  return other.version >= one.version ? other : one;
}

/** A page below what is there; what moved up meanwhile is there already. */
export function joined(rows: readonly Job[], page: readonly Job[]): readonly Job[] {
  const at = new Map(rows.map((row, index) => [row.id, index]));
  const all = [...rows];
  for (const job of page) {
    const known = at.get(job.id);
    const old = known === undefined ? undefined : all[known];
    if (known === undefined || !old) all.push(job);
    else all[known] = newer(old, job);
  }
  return all;
}

/** Rows after news of some jobs: changed in their place, new ones on top, others away. */
export function moved(
  rows: readonly Job[],
  news: readonly Job[],
  { show }: Pick<Filter, "show">,
): readonly Job[] {
  const latest = new Map<string, Job>();
  for (const job of news) {
    const old = latest.get(job.id);
    latest.set(job.id, old ? newer(old, job) : job);
  }
  const fits = (job: Job) => !show || toneOf(job.status) === show;
  const kept: Job[] = [];
  for (const row of rows) {
    const told = latest.get(row.id);
    latest.delete(row.id);
    const job = told ? newer(row, told) : row;
    if (!told || fits(job)) kept.push(job);
  }
  const fresh = [...latest.values()].filter(fits).reverse();
  return fresh.length ? [...fresh, ...kept] : kept;
}
