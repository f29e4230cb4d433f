// A job's status as a mark: a colour, a shape and a word, never a colour alone.
import type { Schemas } from "../api";

export type Status = Schemas["Status"];
/** Groups of statuses, as a person looks for them. */
export type Tone = "wait" | "run" | "good" | "bad" | "over";

const TONES: Record<Status, Tone> = {
  "INIT:ACCEPTED": "wait",
  "MODEL_EXEC:AWAITING_PREREQUISITES": "wait",
  "MODEL_EXEC:AWAITING_DATA_CHECK": "wait",
  "MODEL_EXEC:AWAITING_DERIVATION": "wait",
  "MODEL_EXEC:AWAITING_ALLOCATION": "wait",
  "MODEL_EXEC:AWAITING_DATA": "wait",
  "MODEL_EXEC:AWAITING_SCHEDULING": "wait",
  "MODEL_EXEC:SCHEDULED": "run",
  "MODEL_EXEC:RUNNING": "run",
  "MODEL_EXEC:STOPPING": "run",
  "OUTPUT_EXEC:AWAITING_COLLECTION": "run",
  "CLOSED:COMPLETED": "good",
  "CLOSED:FAILED": "bad",
  "CLOSED:DATA_UNPROVIDEABLE": "bad",
  "CLOSED:DATA_FAILURE": "bad",
  "CLOSED:CANCELED": "over",
  "CLOSED:STOPPED": "over",
};

export function isClosed(status: string): boolean {
  return status.startsWith("CLOSED:");
}

export function toneOf(status: string): Tone {
  return TONES[status as Status] ?? "wait";
}

export function statusesOf(tone: Tone): readonly string[] {
  return Object.keys(TONES).filter((status) => toneOf(status) === tone);
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
