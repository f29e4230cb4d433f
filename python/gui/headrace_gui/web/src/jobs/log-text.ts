// The last lines of a log, in blocks: what is drawn once is not drawn again, and what is kept has
// a bound, however long the page is left open.

export type From = "out" | "err";

export interface Line {
  from: From;
  text: string;
}

export interface Block {
  id: number;
  lines: readonly Line[];
}

export interface LogView {
  blocks: readonly Block[];
  /** What was written since the last line's end. */
  open: readonly Line[];
  /** So many lines came before those that are here. */
  dropped: number;
  lines: number;
}

export const MOST_LINES = 5_000;
export const MOST_CHARS = 2_000_000;
const LONGEST_LINE = 8_000;
const BLOCK_LINES = 100;

export class LogText {
  private blocks: Block[] = [];
  private readonly open = { out: "", err: "" };
  private made = 0;
  private dropped = 0;
  private lines = 0;
  private chars = 0;

  take(from: From, text: string): void {
    const parts = (this.open[from] + text).split("\n");
    const rest = parts.pop() ?? "";
    for (const each of parts) this.add(from, shown(each));
    this.open[from] = this.cut(from, last(rest));
  }

  /** Nothing more comes: what has no end of its line is a line too. */
  end(): void {
    for (const from of ["out", "err"] as const) {
      if (this.open[from]) this.take(from, "\n");
    }
  }

  view(): LogView {
    const open = (["out", "err"] as const)
      .filter((from) => this.open[from])
      .map((from) => ({ from, text: shown(this.open[from]) }));
    return { blocks: [...this.blocks], open, dropped: this.dropped, lines: this.lines };
  }

  /** A line without an end is told in pieces, so that it can't grow for ever. */
  private cut(from: From, text: string): string {
    let rest = text;
    while (rest.length > LONGEST_LINE) {
      this.add(from, rest.slice(0, LONGEST_LINE));
      rest = rest.slice(LONGEST_LINE);
    }
    return rest;
  }

  private add(from: From, text: string): void {
    const line = { from, text: this.cut(from, text) };
    const last = this.blocks.at(-1);
    if (last && last.lines.length < BLOCK_LINES) {
      this.blocks[this.blocks.length - 1] = { id: last.id, lines: [...last.lines, line] };
    } else {
      this.blocks.push({ id: ++this.made, lines: [line] });
    }
    this.lines += 1;
    this.chars += line.text.length;
    while (this.lines > MOST_LINES || this.chars > MOST_CHARS) {
      const first = this.blocks.shift();
      if (!first) return;
      this.lines -= first.lines.length;
      this.dropped += first.lines.length;
      for (const each of first.lines) this.chars -= each.text.length;
    }
  }
}

/** What a terminal would show of a line that was written over, as progress bars do. */
function shown(text: string): string {
  return last(text).replace(/\r$/, "");
}

/** The same as it was written: what comes after its \r writes over it too. */
function last(text: string): string {
  return text.slice(text.lastIndexOf("\r", text.length - 2) + 1);
}
