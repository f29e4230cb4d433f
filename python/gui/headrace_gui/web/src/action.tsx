// Everything a user can set off: it is pending, then done, or failed with what the API says.
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asApiError } from "./api";
import { Icon, type IconName } from "./components/icons";
import { Notice } from "./components/notice";

export type ActionState =
  | { kind: "idle" }
  | { kind: "pending" }
  | { kind: "done" }
  | { kind: "failed"; error: ApiError };

export interface Action<A extends unknown[]> {
  state: ActionState;
  /** Resolves to whether it went well; it never throws. Nothing is begun while it is pending. */
  run: (...args: A) => Promise<boolean>;
  reset: () => void;
}

export function useAction<A extends unknown[]>(work: (...args: A) => Promise<unknown>): Action<A> {
  const [state, setState] = useState<ActionState>({ kind: "idle" });
  const pending = useRef(false);
  const shown = useRef(true);
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    shown.current = true;
    return () => {
      shown.current = false;
    };
  }, []);
  const run = useCallback(async (...args: A) => {
    if (pending.current) return false;
    pending.current = true;
    setState({ kind: "pending" });
    try {
      await latest.current(...args);
      if (shown.current) setState({ kind: "done" });
      return true;
    } catch (error) {
      if (shown.current) setState({ kind: "failed", error: asApiError(error) });
      return false;
    } finally {
      pending.current = false;
    }
  }, []);
  const reset = useCallback(() => setState({ kind: "idle" }), []);
  return { state, run, reset };
}

interface ActionButtonProps {
  children: ComponentChildren;
  /** What is said while it runs, and when it is done. */
  pending?: string;
  done?: string;
  kind?: "plain" | "primary" | "danger" | "row";
  icon?: IconName;
  disabled?: boolean;
  title?: string;
  work: () => Promise<unknown>;
}

/** A button with the three states. What went wrong is said below it. */
export function ActionButton(props: ActionButtonProps) {
  const { state, run, reset } = useAction(props.work);
  return (
    <span class="action">
      <button
        type="button"
        class={`button ${props.kind ?? "plain"}`}
        disabled={props.disabled}
        aria-disabled={state.kind === "pending"}
        aria-busy={state.kind === "pending"}
        title={props.title}
        onClick={() => void run()}
      >
        {state.kind === "pending" && <span class="spinner" aria-hidden="true" />}
        {state.kind !== "pending" && props.icon && <Icon name={props.icon} />}
        {state.kind === "pending" ? (props.pending ?? props.children) : props.children}
      </button>
      <span class="visually-hidden" role="status">
        {state.kind === "done" ? (props.done ?? "Done.") : ""}
      </span>
      {state.kind === "failed" && <Notice error={state.error} onClose={reset} />}
    </span>
  );
}
