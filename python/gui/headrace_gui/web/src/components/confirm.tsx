// Asks before something that can't be taken back, or that others notice.
import type { ComponentChildren } from "preact";
import { useAction } from "../action";
import { Dialog } from "./dialog";
import { Notice } from "./notice";

interface ConfirmProps {
  title: string;
  children: ComponentChildren;
  /** What the button says, and while it works. */
  verb: string;
  pending: string;
  /** What the button says that changes nothing. */
  keep?: string;
  danger?: boolean;
  disabled?: boolean;
  /** The dialog closes when it went well. */
  work: () => Promise<unknown>;
  onClose: () => void;
}

export function Confirm(props: ConfirmProps) {
  const { state, run, reset } = useAction(props.work);
  const busy = state.kind === "pending";
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form
        class="form"
        onSubmit={async (event) => {
          event.preventDefault();
          if (!props.disabled && (await run())) props.onClose();
        }}
      >
        {props.children}
        {state.kind === "failed" && <Notice error={state.error} onClose={reset} />}
        <div class="row">
          <button
            type="submit"
            class={`button ${props.danger ? "danger" : "primary"}`}
            disabled={props.disabled}
            aria-disabled={busy}
            aria-busy={busy}
          >
            {busy && <span class="spinner" aria-hidden="true" />}
            {busy ? props.pending : props.verb}
          </button>
          <button type="button" class="button" onClick={props.onClose}>
            {props.keep ?? "Cancel"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
