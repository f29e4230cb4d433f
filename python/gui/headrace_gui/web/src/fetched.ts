// What a page reads from the API: loading, there, or failed, and read again when asked.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asApiError } from "./api";
import { onRenewed } from "./session";

export interface Fetched<T> {
  value: T | undefined;
  error: ApiError | null;
  loading: boolean;
  /** Read again; what is shown stays until the answer is there. */
  again: () => void;
}

/** Reads when the component appears and when `key` changes; null: nothing is read yet. */
export function useFetched<T>(
  key: string | null,
  read: (signal: AbortSignal) => Promise<T>,
): Fetched<T> {
  const [state, setState] = useState<{ key: string | null; value?: T; error?: ApiError }>({
    key: null,
  });
  const [loading, setLoading] = useState(key !== null);
  const [round, setRound] = useState(0);
  const latest = useRef(read);
  latest.current = read;
  useEffect(() => {
    if (key === null) return;
    const cancel = new AbortController();
    setLoading(true);
    latest
      .current(cancel.signal)
      .then((value) => {
        if (!cancel.signal.aborted) setState({ key, value });
      })
      .catch((error: unknown) => {
        if (!cancel.signal.aborted) {
          const said = asApiError(error);
          setState((old) =>
            old.key === key && old.value !== undefined
              ? { key, value: old.value, error: said }
              : { key, error: said },
          );
        }
      })
      .finally(() => {
        if (!cancel.signal.aborted) setLoading(false);
      });
    return () => cancel.abort();
  }, [key, round]);
  const again = useCallback(() => setRound((n) => n + 1), []);
  const failed = useRef(false);
  failed.current = state.error?.status === 401;
  // What the end of the session refused is read once somebody has signed in.
  useEffect(() => onRenewed(() => failed.current && again()), []);
  const ours = state.key === key ? state : { key };
  return { value: ours.value, error: ours.error ?? null, loading, again };
}
