// Times in the browser's zone; the same in UTC stands in the title.
import type { ComponentChildren } from "preact";
import { clock, dateTime } from "../format";

/** A time: its day too, or the `clock` alone. */
export function Time({ at, short = false }: { at: string; short?: boolean }) {
  return (
    <time dateTime={at} title={`${at.replace("T", " ").replace("Z", "")} UTC`} class="num">
      {short ? clock(at) : dateTime(at)}
    </time>
  );
}

const ISO = /(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z)/;

/** A sentence of the API, in which times stand in UTC: with times in the browser's zone. */
export function Sentence({ text }: { text: string }) {
  const parts: ComponentChildren[] = text
    .split(ISO)
    .map((part, at) => (at % 2 ? <Time key={at} at={part} /> : part));
  return <>{parts}</>;
}
