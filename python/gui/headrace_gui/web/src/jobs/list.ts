// The list of jobs: pages of the API, kept true by what is told live.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, api, asApiError } from "../api";
import { statusesOf, type Tone, toneOf } from "../components/status";
import { onceAFrame } from "../frame";
import { errorTold, follow, type Job, type Message } from "../live";
import { onRenewed } from "../session";

export interface Filter {
  show: Tone | "";
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
  /** Whether the first page was there. */
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

/** What is read: the first page, it again for what is new, or the page below the rows. */
type Part = "first" | "again" | "more";

export function useJobs(filter: Filter): JobList {
  const [state, setState] = useState<State>(NOTHING);
  const [round, setRound] = useState(0);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const now = useRef(state);
  now.current = state;
  const change = useCallback((next: (old: State) => State) => {
    now.current = next(now.current);
    setState(now.current);
  }, []);
  const key = JSON.stringify(filter);
  const shown = useRef("");
  const more = useRef<() => void>(() => undefined);

  useEffect(() => {
    // Rows stay until the first page takes their place; those of another filter do not.
    const same = shown.current === key;
    shown.current = key;
    change((old) => (same ? { ...old, loading: true, error: null } : NOTHING));
    setFailure(null);
    const cancel = new AbortController();
    const news = new Map<string, Job>();
    const wanted = new Set<Part>();
    let busy: Part | null = null;

    const read = async (asked: Part) => {
      if (busy) {
        wanted.add(asked);
        return;
      }
      const { cursor, started } = now.current;
      const part = asked === "again" && !started ? "first" : asked;
      if (part === "more" && !cursor) return;
      busy = part;
      if (part !== "again") change((old) => ({ ...old, loading: true, error: null }));
      try {
        const page = await api.get("/api/v1/jobs", {
          query: {
            ...queryOf(filter),
            ...(part === "more" && cursor ? { limit: PAGE, cursor } : { limit: FIRST }),
          },
          signal: cancel.signal,
        });
        if (cancel.signal.aborted) return;
        change((old) => ({
          rows: placed(old.rows, page.jobs, part),
          cursor: part === "again" ? old.cursor : (page.cursor ?? null),
          started: true,
          loading: false,
          error: null,
          incomplete: page.incomplete ?? null,
        }));
      } catch (error) {
        if (cancel.signal.aborted) return;
        change((old) => ({ ...old, loading: false, error: asApiError(error) }));
      }
      busy = null;
      apply();
      const [next] = wanted;
      if (next && !now.current.error) {
        wanted.delete(next);
        void read(next);
      }
    };

    // What is told while the head of the list is read is newer than it, and goes on top of it.
    const apply = () => {
      if (busy === "first" || busy === "again") return;
      const told = [...news.values()];
      news.clear();
      if (!told.length || !now.current.started) return;
      change((old) => ({ ...old, rows: moved(old.rows, told, filter) }));
    };
    const [soon, never] = onceAFrame(apply);
    const hear = (jobs: readonly Job[]) => {
      for (const job of jobs) {
        const old = news.get(job.id);
        news.set(job.id, old ? newer(old, job) : job);
      }
      if (news.size) soon();
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
          hear(message.jobs.filter((job) => known.has(job.id)));
          // What was submitted between the first page and the snapshot is told by neither.
          void read("again");
        }
        if (message.type === "job") hear([message.job]);
        if (message.type === "error") setFailure(errorTold(message));
      },
    );
    more.current = () => void read("more");
    void read("first");
    return () => {
      stop();
      never();
      cancel.abort();
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
    error: state.error ?? failure,
    incomplete: state.incomplete,
    loadMore: useCallback(() => {
      const { cursor, error } = now.current;
      if (cursor && !error) more.current();
    }, [key, round]),
    reload: useCallback(() => setRound((n) => n + 1), []),
  };
}

function placed(rows: readonly Job[], page: readonly Job[], part: Part): readonly Job[] {
  if (part === "first") return page;
  return part === "again" ? joined(page, rows) : joined(rows, page);
}

function queryOf({ show, q, owner, kind }: Filter): Record<string, string> {
  const asked = { q, owner, kind, status: show ? statusesOf(show).join(",") : "" };
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value));
}

function newer(one: Job, other: Job): Job {
  return other.version >= one.version ? other : one;
}

/** Jobs below what is there; what is there already stays in its place. */
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
