// What a dataset covers, index by index, in plain words.
import { useState } from "preact/hooks";
import { dateTime } from "../format";
import { Coverage } from "./coverage";
import {
  type Dataset,
  INDEX_WORDS,
  indexesOf,
  lengthOf,
  namesOf,
  spansOf,
  spanWords,
  utc,
} from "./domain";

const NAMES = 24;
const SPANS = 6;

export function Covers({ dataset }: { dataset: Dataset }) {
  const indexes = indexesOf(dataset.domain);
  return (
    <section class="panel" aria-labelledby="covers">
      <h2 id="covers">What it covers</h2>
      {indexes.length === 0 && (
        <p class="quiet">
          {dataset.state === "OPEN"
            ? "Nothing is known yet: it is read from the files when the dataset is sealed."
            : "Nothing that its files tell, and nothing was declared: jobs find it by category and format alone."}
        </p>
      )}
      <dl class="facts">
        {indexes.map((index) => (
          <>
            <dt title={index}>{INDEX_WORDS[index]}</dt>
            <dd>
              {index === "TIME" ? <Time dataset={dataset} /> : <Names {...{ dataset, index }} />}
            </dd>
          </>
        ))}
      </dl>
    </section>
  );
}

function Time({ dataset }: { dataset: Dataset }) {
  const [all, setAll] = useState(false);
  const spans = spansOf(dataset.domain);
  const [first, last] = [spans[0], spans.at(-1)];
  if (!first || !last) return null;
  const shown = all ? spans : spans.slice(0, SPANS);
  return (
    <div class="dataset-spans">
      {shown.map((span) => (
        <span
          key={span[0]}
          class="num"
          title={`${dateTime(new Date(span[0]))} to ${dateTime(new Date(span[1]))}, your time`}
        >
          {spanWords(span)} <span class="fine">({lengthOf(span)}, the end not included)</span>
        </span>
      ))}
      {spans.length > 1 && (
        <>
          <Coverage row={dataset} axis={[first[0], last[1]]} />
          <span class="fine">
            {spans.length} pieces from {utc(first[0])} to {utc(last[1])} UTC{" "}
            {spans.length > SPANS && <More {...{ all, setAll }} />}
          </span>
        </>
      )}
    </div>
  );
}

function Names({
  dataset,
  index,
}: {
  dataset: Dataset;
  index: Exclude<keyof Dataset["domain"], "TIME">;
}) {
  const [all, setAll] = useState(false);
  const names = namesOf(dataset.domain, index);
  if (names === null) return <>all of them</>;
  if (names.length === 1) return <span class="mono">{names[0]}</span>;
  const shown = all ? names : names.slice(0, NAMES);
  return (
    <>
      <ul class="dataset-names">
        {shown.map((name) => (
          <li key={name}>{name}</li>
        ))}
      </ul>
      <span class="fine">
        {names.length.toLocaleString()} in all{" "}
        {names.length > NAMES && <More {...{ all, setAll }} />}
      </span>
    </>
  );
}

function More({ all, setAll }: { all: boolean; setAll: (all: boolean) => void }) {
  return (
    <button type="button" class="button" onClick={() => setAll(!all)}>
      {all ? "Show fewer" : "Show all"}
    </button>
  );
}
