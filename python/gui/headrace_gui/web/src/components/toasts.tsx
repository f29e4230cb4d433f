// Short news at the edge of the window, read out too. What went wrong stays until it is closed.
import { Store, useStore } from "../store";
import { Icon } from "./icons";

interface Toast {
  id: number;
  text: string;
  bad: boolean;
  /** Something to do about it, such as taking it back. */
  offer?: { label: string; work: () => void };
}

const STAYS_MS = 8_000;
const toasts = new Store<readonly Toast[]>([]);
let made = 0;

export function toast(text: string, how: { bad?: boolean; offer?: Toast["offer"] } = {}): void {
  const one: Toast = { id: ++made, text, bad: how.bad ?? false };
  if (how.offer) one.offer = how.offer;
  toasts.set([...toasts.get().slice(-4), one]);
  if (!one.bad) setTimeout(() => drop(one.id), STAYS_MS);
}

function drop(id: number): void {
  toasts.set(toasts.get().filter((each) => each.id !== id));
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {useStore(toasts).map((each) => (
        <div key={each.id} class={`toast ${each.bad ? "bad" : ""}`}>
          <span>{each.text}</span>
          {each.offer && (
            <button
              type="button"
              class="button"
              onClick={() => {
                each.offer?.work();
                drop(each.id);
              }}
            >
              {each.offer.label}
            </button>
          )}
          <button
            type="button"
            class="button icon"
            aria-label="Close"
            onClick={() => drop(each.id)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
