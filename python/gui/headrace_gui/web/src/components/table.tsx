// A table of any length: only the rows in view are drawn. Narrow screens get a card a row.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import "./table.css";
import { useNarrow, useWide } from "./narrow";

export interface Column<T> {
  key: string;
  head: ComponentChildren;
  /** A track of CSS grid: `8rem`, `minmax(10rem, 2fr)`. */
  width: string;
  cell: (row: T) => ComponentChildren;
  end?: boolean;
  /** Only where there is much room. */
  wide?: boolean;
  /** Whether rows stand in its order. */
  sort?: "ascending" | "descending" | undefined;
}

interface TableProps<T> {
  label: string;
  rows: readonly T[];
  columns: readonly Column<T>[];
  keyOf: (row: T) => string;
  /** What a narrow screen shows of a row. */
  card: (row: T) => ComponentChildren;
  /** The last loaded rows come into view: load more. */
  onEnd?: () => void;
  /** Below the rows: more to come, the end, or what went wrong. */
  foot?: ComponentChildren;
  empty: ComponentChildren;
  isMarked?: (row: T) => boolean;
}

const ROW_PX = 40;
const CARD_PX = 72;
const BEYOND = 8;

export function Table<T>(props: TableProps<T>) {
  const { rows, keyOf, card, onEnd } = props;
  const narrow = useNarrow();
  const wide = useWide();
  const columns = props.columns.filter((each) => wide || !each.wide);
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  const rowPx = narrow ? CARD_PX : ROW_PX;
  const first = Math.max(0, Math.floor(view.top / rowPx) - BEYOND);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / rowPx) + BEYOND);

  useEffect(() => {
    const at = box.current;
    if (!at) return;
    const look = () => setView({ top: at.scrollTop, height: at.clientHeight });
    look();
    at.addEventListener("scroll", look, { passive: true });
    const sizes = new ResizeObserver(look);
    sizes.observe(at);
    return () => {
      at.removeEventListener("scroll", look);
      sizes.disconnect();
    };
  }, []);

  useKeptPlace(box, rows, keyOf, rowPx);

  const atEnd = last >= rows.length;
  useEffect(() => {
    if (atEnd) onEnd?.();
  }, [atEnd, rows.length, onEnd]);

  const tracks = columns.map((each) => each.width).join(" ");
  return (
    <div
      ref={box}
      class={`table ${narrow ? "cards" : ""}`}
      role="table"
      aria-label={props.label}
      aria-rowcount={rows.length + 1}
      tabIndex={0}
    >
      <div role="rowgroup" class={narrow ? "visually-hidden" : "table-head"}>
        <div role="row" class="table-row" style={{ gridTemplateColumns: tracks }}>
          {columns.map((each) => (
            <div
              key={each.key}
              role="columnheader"
              aria-sort={each.sort}
              class={each.end ? "end" : ""}
            >
              {each.head}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" style={{ height: `${rows.length * rowPx}px` }} class="table-body">
        {rows.slice(first, last).map((row, at) => (
          <div
            key={keyOf(row)}
            role="row"
            aria-rowindex={first + at + 2}
            class={`table-row ${props.isMarked?.(row) ? "marked" : ""}`}
            style={{
              gridTemplateColumns: narrow ? "1fr" : tracks,
              height: `${rowPx}px`,
              transform: `translateY(${(first + at) * rowPx}px)`,
            }}
          >
            {narrow ? (
              <div role="cell" aria-colspan={columns.length}>
                {card(row)}
              </div>
            ) : (
              columns.map((each) => (
                <div key={each.key} role="cell" class={each.end ? "end" : ""}>
                  {each.cell(row)}
                </div>
              ))
            )}
          </div>
        ))}
      </div>
      {rows.length === 0 && <div class="table-empty">{props.empty}</div>}
      {props.foot && <div class="table-foot">{props.foot}</div>}
    </div>
  );
}

/** Rows that come above what somebody reads must not move it. */
function useKeptPlace<T>(
  box: { current: HTMLDivElement | null },
  rows: readonly T[],
  keyOf: (row: T) => string,
  rowPx: number,
): void {
  const before = useRef<{ key: string; at: number } | null>(null);
  useLayoutEffect(() => {
    const shown = box.current;
    if (!shown) return;
    const kept = before.current;
    if (kept && shown.scrollTop > 0) {
      const top = Math.floor(shown.scrollTop / rowPx);
      const now = rows.findIndex((row) => keyOf(row) === kept.key);
      if (now > kept.at && top >= kept.at) shown.scrollTop += (now - kept.at) * rowPx;
    }
    return () => {
      const at = Math.floor(shown.scrollTop / rowPx);
      const row = rows[at];
      before.current = row === undefined ? null : { key: keyOf(row), at };
    };
  }, [rows, rowPx]);
}
