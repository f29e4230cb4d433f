// A dataset's state as a mark: a shape and a word, never a colour alone.
import type { Dataset } from "./domain";

const MARKS: Record<string, readonly [tone: string, shape: string, word: string, title: string]> =
  {
    OPEN: ["run", "▷", "Open", "It takes files; no job finds it yet"],
    SEALED: ["good", "✓", "Sealed", "It never changes any more; jobs find it"],
    DELETED: ["over", "✕", "Deleted", "It can be brought back for some days"],
    TOMBSTONED: ["over", "✕", "Going", "Its files are being removed"],
  };

export function StateMark({ dataset }: { dataset: Pick<Dataset, "state" | "partial"> }) {
  const [tone, shape, word, title] = MARKS[dataset.state] ?? ["wait", "?", dataset.state, ""];
  return (
    <span class={`status ${tone}`} title={title}>
      <span class="shape" aria-hidden="true">
        {shape}
      </span>
      {dataset.partial ? "Partial" : word}
    </span>
  );
}
