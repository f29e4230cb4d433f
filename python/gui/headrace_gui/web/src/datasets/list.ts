// Pages of datasets. No topic of the WebSocket tells of datasets: the list is read when it is
// opened, when its tab is shown again, and when a job ends, which may have made some.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, api, asApiError } from "../api";
import { isClosed } from "../components/status";
import { follow } from "../live";
import { CATEGORIES, type Category, type Dataset, type Domain, type Span } from "./domain";

export const STATES = ["", "OPEN", "SEALED", "DELETED"] as const;
export type State = (typeof STATES)[number];

export interface Filter {
  q: string;
  category: Category | "";
  format: string;
  state: State;
  owner: string;
  catchment: string;
  /** Days, `2015-12-01`; the last one is included. */
  from: string;
  to: string;
}

const DAY_MS = 86_400_000;
const DAY = /^\d{4}-\d\d-\d\d$/;
const PAGE = 200;
const PAUSE_MS = 1000;

export function filterOf(query: URLSearchParams): Filter {
  const text = (name: string) => query.get(name) ?? "";
  const one = <T extends string>(of: readonly T[], name: string) =>
    of.find((each) => each === text(name)) ?? "";
  return {
    q: text("q"),
    category: one(CATEGORIES, "category"),
    format: text("format"),
    state: one(STATES, "state") as State,
    owner: text("owner"),
    catchment: text("catchment"),
    from: DAY.test(text("from")) ? text("from") : "",
    to: DAY.test(text("to")) ? text("to") : "",
  };
}

/** The time that is asked for; null: any. One end alone leaves the other open. */
export function askedSpan({ from, to }: Filter): Span | null {
  if (!from && !to) return null;
  const begin = from ? Date.parse(from) : Date.parse("1700-01-01");
  const end = to ? Date.parse(to) + DAY_MS : Date.parse("2300-01-01");
  return begin < end ? [begin, end] : null;
}

function queryOf(filter: Filter): Record<string, string> {
  const domain: Domain = {};
  const span = askedSpan(filter);
  if (span) {
    domain.TIME = [new Date(span[0]).toISOString(), new Date(span[1]).toISOString()];
  }
  const catchments = filter.catchment.split(/[\s,]+/).filter(Boolean);
  if (catchments.length) domain.CATCHMENT_ID = catchments;
  const { q, category, format, state, owner } = filter;
  const asked = {
    ...{ q, category, format, state, owner },
    domain: Object.keys(domain).length ? JSON.stringify(domain) : "",
  };
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value));
}

interface Loaded {
  rows: readonly Dataset[];
  cursor: string | null;
  loading: boolean;
  error: ApiError | null;
}

export interface DatasetList extends Loaded {
  loadMore: () => void;
  reload: () => void;
}

const NOTHING: Loaded = { rows: [], cursor: null, loading: true, error: null };

export function useDatasets(filter: Filter): DatasetList {
  const [state, setState] = useState<Loaded>(NOTHING);
  const [round, setRound] = useState(0);
  const now = useRef(state);
  now.current = state;
  const busy = useRef<AbortController | null>(null);
  const key = JSON.stringify(filter);

  const load = useCallback(
    async (cursor: string | null, length: number) => {
      if (busy.current) return;
      const cancel = new AbortController();
      busy.current = cancel;
      setState((old) => ({ ...old, loading: true, error: null }));
      try {
        const page = await api.get("/api/v1/datasets", {
          query: {
            ...queryOf(filter),
            limit: Math.min(1000, length),
            ...(cursor ? { cursor } : {}),
          },
          signal: cancel.signal,
        });
        if (cancel.signal.aborted) return;
        setState((old) => ({
          rows: cursor ? [...old.rows, ...page.datasets] : page.datasets,
          cursor: page.cursor ?? null,
          loading: false,
          error: null,
        }));
      } catch (error) {
        if (!cancel.signal.aborted) {
          setState((old) => ({ ...old, loading: false, error: asApiError(error) }));
        }
      } finally {
        if (busy.current === cancel) busy.current = null;
      }
    },
    [key],
  );

  useEffect(() => setState(NOTHING), [key]);
  useEffect(() => {
    void load(null, Math.max(PAGE, now.current.rows.length));
    return () => {
      busy.current?.abort();
      busy.current = null;
    };
  }, [key, round]);

  const reload = useCallback(() => setRound((n) => n + 1), []);
  useReasons(reload);
  return {
    ...state,
    loadMore: useCallback(() => {
      const { cursor, error } = now.current;
      if (cursor && !error) void load(cursor, PAGE);
    }, [load]),
    reload,
  };
}

/** What says that datasets may have changed. */
function useReasons(reload: () => void): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const soon = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        reload();
      }, PAUSE_MS);
    };
    const shown = () => {
      if (document.visibilityState === "visible") soon();
    };
    document.addEventListener("visibilitychange", shown);
    const stop = follow({ topic: "jobs" }, (message) => {
      if (message.type === "resync") soon();
      if (message.type === "job" && isClosed(message.event.to)) soon();
    });
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
      stop();
    };
  }, [reload]);
}
