// What would satisfy a requirement, as the data check of a job would answer now.
import { useState } from "preact/hooks";
import "./match.css";
import "./new-dataset.css";
import { useAction } from "../action";
import type { Schemas } from "../api";
import { type Answer, api } from "../api";
import { SelectField, TextArea, TextField } from "../components/form";
import { Notice } from "../components/notice";
import {
  CATEGORIES,
  type Category,
  categoryWord,
  type Domain,
  INDEX_WORDS,
  indexesOf,
  namesOf,
  parsedDomain,
  timeWords,
} from "../datasets/domain";
import { bytes } from "../format";
import { Link, setQuery, usePlace } from "../router";

type Match = Answer<"/api/v1/datasets:match", "post">;
type Shape = Schemas["Shape"];

const SHAPES: readonly (readonly [Shape, string])[] = [
  ["ANY", "in any shape (several datasets may join)"],
  ["ONE", "as one dataset"],
  ["EXACT", "exactly this, and nothing more"],
];
const NAMES = ["CATCHMENT_ID", "HYDROFABRIC_DATA_ID", "GAUGE_ID"] as const;
const HEADS = {
  fulfilled: ["good", "✓ Fulfilled"],
  promised: ["run", "◷ Promised"],
  derivable: ["run", "◷ Derivable"],
  missing: ["bad", "✕ Missing"],
} as const;

export default function MatchPage() {
  const { query } = usePlace();
  const [category, setCategory] = useState<Category>(
    CATEGORIES.find((each) => each === query.get("category")) ?? "FORCING",
  );
  const [format, setFormat] = useState(query.get("format") ?? "");
  const [shape, setShape] = useState<Shape>(
    SHAPES.find(([each]) => each === query.get("shape"))?.[0] ?? "ANY",
  );
  const [from, setFrom] = useState(query.get("from") ?? "");
  const [to, setTo] = useState(query.get("to") ?? "");
  const [names, setNames] = useState<Record<string, string>>(
    Object.fromEntries(NAMES.map((index) => [index, query.get(index) ?? ""])),
  );
  const [more, setMore] = useState(query.get("domain") ?? "");
  const [found, setFound] = useState<Match | null>(null);
  const ask = useAction(async () => {
    setQuery({ category, format, shape, from, to, ...names, domain: more });
    const domain: Domain = { ...parsedDomain(more) };
    if (from.trim() || to.trim()) domain.TIME = [from.trim(), to.trim()];
    for (const index of NAMES) {
      const typed = (names[index] ?? "").split(/[\s,]+/).filter(Boolean);
      if (typed.length) domain[index] = typed[0] === "ALL" ? "ALL" : typed;
    }
    setFound(null);
    const body = { category, shape, domain, ...(format.trim() ? { format: format.trim() } : {}) };
    setFound(await api.post("/api/v1/datasets:match", { body }));
  });
  return (
    <>
      <p class="fine">
        <Link to="/datasets">Datasets</Link> / requirement
      </p>
      <h1>What would satisfy this requirement?</h1>
      <form
        class="form new-dataset"
        onSubmit={(event) => {
          event.preventDefault();
          void ask.run();
        }}
      >
        <div class="new-dataset-two">
          <SelectField
            label="Category"
            value={category}
            onValue={(value) => setCategory(value as Category)}
            options={CATEGORIES.map((each) => [each, categoryWord(each)] as const)}
          />
          <TextField
            label="Format (optional)"
            placeholder="AORC_CSV"
            value={format}
            onValue={setFormat}
          />
        </div>
        <div class="new-dataset-two">
          <TextField label="From (UTC)" placeholder="2015-12-01" value={from} onValue={setFrom} />
          <TextField
            label="To (UTC), not included"
            placeholder="2015-12-31"
            value={to}
            onValue={setTo}
          />
        </div>
        {NAMES.map((index) => (
          <TextField
            key={index}
            label={INDEX_WORDS[index]}
            placeholder={index === "CATCHMENT_ID" ? "cat-27 cat-52, or ALL" : ""}
            value={names[index] ?? ""}
            onValue={(value) => setNames({ ...names, [index]: value })}
          />
        ))}
        <SelectField
          label="It must come"
          value={shape}
          onValue={(value) => setShape(value as Shape)}
          options={SHAPES}
        />
        <details>
          <summary>Other indexes</summary>
          <TextArea
            label="Domain, as JSON"
            help={'As {"DATA_ID": "aorc-2015"}; what stands above counts beside it.'}
            rows={3}
            value={more}
            onValue={setMore}
          />
        </details>
        <div>
          <button
            type="submit"
            class="button primary"
            aria-disabled={ask.state.kind === "pending"}
          >
            Look for it
          </button>
        </div>
      </form>
      {ask.state.kind === "failed" && <Notice error={ask.state.error} onClose={ask.reset} />}
      <div role="status" style={{ minHeight: "6rem" }}>
        {found && <Found found={found} />}
      </div>
    </>
  );
}

function Found({ found }: { found: Match }) {
  const [tone, head] = HEADS[found.result];
  return (
    <section class="panel match-found">
      <h2>
        <span class={`status ${tone}`}>{head}</span>
      </h2>
      <p>{found.why}</p>
      {(found.result === "fulfilled" || found.result === "derivable") && (
        <>
          <p class="quiet">
            {found.result === "fulfilled" ? "By" : "A job would make it from"}
            {found.result === "fulfilled" && found.over && `, joined along ${found.over}`}:
          </p>
          <ul>
            {found.datasets.map((each) => (
              <li key={each.id}>
                {each.name ? (
                  <Link to={`/datasets/${each.id}`}>
                    {each.name}@{each.version}
                  </Link>
                ) : (
                  "a dataset that you may not see"
                )}{" "}
                <span class="fine">{bytes(each.size_bytes)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      {found.result === "promised" && (
        <p>
          Output {found.output} of <Link to={`/jobs/${found.job}`}>job {found.job}</Link>
        </p>
      )}
      {found.result === "missing" && <Lacking found={found} />}
    </section>
  );
}

/** The API's sentence begins with the title, which stands before it. */
function lacks({ title, why }: Schemas["NearView"]): string {
  return why.startsWith(title) ? why.slice(title.length) : why;
}

function Lacking({ found }: { found: Extract<Match, { result: "missing" }> }) {
  const indexes = indexesOf(found.missing);
  return (
    <>
      {indexes.length > 0 && (
        <dl class="facts">
          {indexes.map((index) => (
            <>
              <dt>{INDEX_WORDS[index]}</dt>
              <dd>
                {index === "TIME"
                  ? timeWords(found.missing)
                  : (namesOf(found.missing, index)?.slice(0, 40).join(", ") ?? "all")}
              </dd>
            </>
          ))}
        </dl>
      )}
      {found.nearest.length > 0 && (
        <>
          <p class="quiet">What comes nearest:</p>
          <ul>
            {found.nearest.map((each) => (
              <li key={each.id}>
                <Link to={`/datasets/${each.id}`}>{each.title}</Link> {lacks(each)}
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
