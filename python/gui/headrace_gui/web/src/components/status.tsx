// A job's status as a mark: a colour, a shape and a word, never a colour alone.
import type { Schemas } from "../api";

export type Status = Schemas["Status"];
type Tone = "wait" | "run" | "good" | "bad" | "over";

export function isClosed(status: string): boolean {
  return status.startsWith("CLOSED:");
}

export function toneOf(status: string): Tone {
  switch (status) {
    case "CLOSED:COMPLETED":
      return "good";
    case "CLOSED:FAILED":
    case "CLOSED:DATA_UNPROVIDEABLE":
    case "CLOSED:DATA_FAILURE":
      return "bad";
    case "CLOSED:CANCELED":
    case "CLOSED:STOPPED":
      return "over";
    case "MODEL_EXEC:RUNNING":
    case "MODEL_EXEC:SCHEDULED":
    case "MODEL_EXEC:STOPPING":
    case "OUTPUT_EXEC:AWAITING_COLLECTION":
      return "run";
    default:
      return "wait";
  }
}

const WORDS: Partial<Record<Status, string>> = {
  "INIT:ACCEPTED": "Accepted",
  "MODEL_EXEC:AWAITING_PREREQUISITES": "Waits for jobs",
  "MODEL_EXEC:AWAITING_DATA_CHECK": "Checks data",
  "MODEL_EXEC:AWAITING_DERIVATION": "Derives data",
  "MODEL_EXEC:AWAITING_ALLOCATION": "In the queue",
  "MODEL_EXEC:AWAITING_DATA": "Brings data",
  "MODEL_EXEC:AWAITING_SCHEDULING": "Starts workers",
  "OUTPUT_EXEC:AWAITING_COLLECTION": "Keeps results",
  "CLOSED:DATA_UNPROVIDEABLE": "No data",
  "CLOSED:DATA_FAILURE": "Data failed",
};

export function wordOf(status: string): string {
  const step = status.slice(status.indexOf(":") + 1).toLowerCase();
  return WORDS[status as Status] ?? step.charAt(0).toUpperCase() + step.slice(1);
}

const SHAPES: Record<Tone, string> = { wait: "◷", run: "▶", good: "✓", bad: "✕", over: "■" };

export function StatusMark({ status, held = false }: { status: string; held?: boolean }) {
  const tone = toneOf(status);
  return (
    <span class={`status ${tone}`} title={status}>
      <span class="shape" aria-hidden="true">
        {held ? "‖" : SHAPES[tone]}
      </span>
      {held ? "Held" : wordOf(status)}
    </span>
  );
}
