// When data is for: a bar on an axis that all rows share.
import "./coverage.css";
import { type Dataset, lengthOf, type Span, spansOf, spanWords, timeWords, utc } from "./domain";

const SHOWN_PIECES = 120;

/** The axis on which all of these datasets, and what is asked for, have their place. */
export function axisOf(rows: readonly Dataset[], asked: Span | null): Span | null {
  let begin = asked?.[0] ?? Number.POSITIVE_INFINITY;
  let end = asked?.[1] ?? Number.NEGATIVE_INFINITY;
  for (const row of rows) {
    const spans = spansOf(row.domain);
    const [first, last] = [spans[0], spans.at(-1)];
    if (first && last) {
      begin = Math.min(begin, first[0]);
      end = Math.max(end, last[1]);
    }
  }
  return begin < end ? [begin, end] : null;
}

export function Coverage({ row, axis }: { row: Dataset; axis: Span | null }) {
  const spans = spansOf(row.domain);
  if (!axis || !spans.length) return <span class="fine">no time</span>;
  const words = timeWords(row.domain);
  return (
    <span class="coverage" role="img" aria-label={words} title={words}>
      {drawn(spans, axis).map(([left, width]) => (
        <span
          key={left}
          class="coverage-part"
          style={{ left: `min(${left}%, 100% - 3px)`, width: `max(3px, ${width}%)` }}
        />
      ))}
    </span>
  );
}

/** Percent of the axis; very many pieces are drawn as one. */
function drawn(spans: readonly Span[], [begin, end]: Span): [number, number][] {
  const [first, last] = [spans[0], spans.at(-1)];
  if (!first || !last) return [];
  const shown = spans.length > SHOWN_PIECES ? [[first[0], last[1]] as const] : spans;
  const all = end - begin;
  return shown.map(([from, to]) => [((from - begin) / all) * 100, ((to - from) / all) * 100]);
}

/** The two ends of the axis, above the bars. */
export function AxisHead({ axis }: { axis: Span | null }) {
  if (!axis) return <>Time</>;
  return (
    <span class="coverage-axis" title={`${spanWords(axis)}, ${lengthOf(axis)}`}>
      <span>{utc(axis[0]).slice(0, 10)}</span>
      <span>{utc(axis[1]).slice(0, 10)}</span>
    </span>
  );
}
