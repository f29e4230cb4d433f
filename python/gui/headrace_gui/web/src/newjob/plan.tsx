// What would come of the job as it stands: asked again as somebody types, the last answer wins.
import { useRef } from "preact/hooks";
import { type ApiError, api, asApiError, type Schemas } from "../api";
import { Notice } from "../components/notice";
import { type Fetched, useFetched } from "../fetched";
import { bytes, count, dateTime } from "../format";
import { Link } from "../router";
import { asked, type Draft, useSettled } from "./draft";
import { type Read, type Wrong, wrongOf } from "./text";

type Plan = Schemas["PlanView"];
type Answered = { plan: Plan | null; wrong: Wrong[]; error: ApiError | null };

const TYPING_MS = 350;

export interface Planned extends Fetched<Answered> {
  /** What is shown is of an older text. */
  stale: boolean;
}

export function usePlan(draft: Draft, now: Read): Planned {
  const text = useSettled(draft.text, TYPING_MS);
  const key = now.job === null ? null : `${text}\n${Object.keys(draft.files).join()}`;
  const latest = useRef(now);
  latest.current = now;
  const fetched = useFetched(key, async (signal): Promise<Answered> => {
    const { job, document } = latest.current;
    const body = asked(job ?? {}, draft.files) as Schemas["JobFile"];
    try {
      return {
        plan: await api.post("/api/v1/jobs:plan", { body, signal }),
        wrong: [],
        error: null,
      };
    } catch (error) {
      const said = asApiError(error);
      if (said.code !== "INVALID_SPEC") throw error;
      return { plan: null, wrong: wrongOf(said.detail, document, draft.text), error: said };
    }
  });
  // While a newer one is asked for, the older one stays in sight.
  const last = useRef<Answered | undefined>(undefined);
  if (fetched.value) last.current = fetched.value;
  const stale = fetched.value === undefined || text !== draft.text;
  return { ...fetched, value: fetched.value ?? last.current, stale };
}

const OUTCOMES: Record<Plan["outcome"], readonly [string, string, string]> = {
  STARTS: ["good", "●", "Starts at once"],
  WAITS: ["wait", "◔", "Waits"],
  DATA_MISSING: ["over", "▲", "Data is missing"],
  NEVER: ["bad", "✕", "Can never start"],
};

export function PlanPanel({ planned }: { planned: Planned }) {
  const { value, error, stale, again } = planned;
  return (
    <section
      class={`panel new-plan ${stale ? "stale" : ""}`}
      aria-labelledby="plan"
      aria-busy={stale}
    >
      <div class="spread">
        <h2 id="plan">What would come of it</h2>
        <span class="fine">{stale ? "asking …" : "as of now"}</span>
      </div>
      <div aria-live="polite">
        {error && <Notice error={error} onRetry={again} />}
        {!error && value?.plan && <Told plan={value.plan} />}
        {!error && value && !value.plan && (
          <p class="new-outcome status bad">
            <span class="shape" aria-hidden="true">
              ✕
            </span>
            {count(value.wrong.length, "thing")} to mend first
          </p>
        )}
      </div>
    </section>
  );
}

function Told({ plan }: { plan: Plan }) {
  const [mark, shape, label] = OUTCOMES[plan.outcome];
  const { placement } = plan;
  const { start, end } = placement;
  return (
    <>
      <p class={`new-outcome status ${mark}`}>
        <span class="shape" aria-hidden="true">
          {shape}
        </span>
        {label}
      </p>
      <p>{plan.sentence}</p>
      {placement.hint && plan.outcome !== "STARTS" && plan.outcome !== "DATA_MISSING" && (
        <p class="quiet">Next: {placement.hint}</p>
      )}
      {plan.data && plan.data.length > 0 && <Data inputs={plan.data} />}
      <dl class="facts">
        <dt>Asks</dt>
        <dd>
          {count(plan.resources.cpus, "CPU")}, {bytes(plan.resources.memory)}
        </dd>
        {placement.nodes && placement.nodes.length > 0 && (
          <>
            <dt>Would run on</dt>
            <dd>
              {placement.nodes
                .map((each) => `${each.node} (${count(each.cpus, "CPU")}, ${bytes(each.memory)})`)
                .join(", ")}
            </dd>
          </>
        )}
        {start && <Foreseen name="Start" range={start} />}
        {end && <Foreseen name="End" range={end} />}
        {plan.image && (
          <>
            <dt>Image</dt>
            <dd class="mono">{plan.image}</dd>
          </>
        )}
        {placement.basis && (
          <>
            <dt>Foreseen from</dt>
            <dd>{placement.basis}</dd>
          </>
        )}
      </dl>
      {placement.quotas?.map((each) => (
        <p key={each} class="fine">
          {each}
        </p>
      ))}
    </>
  );
}

function Foreseen({ name, range }: { name: string; range: Schemas["RangeView"] }) {
  const sure = Date.parse(range.high) - Date.parse(range.low) < 60_000;
  return (
    <>
      <dt>{name}</dt>
      <dd title={`${range.low} to ${range.high} (UTC)`}>
        {dateTime(range.at)}
        {!sure && (
          <span class="fine">
            {" "}
            ({dateTime(range.low)} to {dateTime(range.high)} in 8 of 10 cases)
          </span>
        )}
      </dd>
    </>
  );
}

const RESULTS: Record<string, readonly [string, string]> = {
  fulfilled: ["good", "found"],
  promised: ["wait", "promised"],
  derivable: ["run", "will be made"],
  missing: ["bad", "missing"],
};

function Data({ inputs }: { inputs: NonNullable<Plan["data"]> }) {
  const missing = inputs.some((each) => each.result === "missing");
  return (
    <>
      <ul class="new-data" aria-label="Data that it needs">
        {inputs.map((each) => {
          const [mark, word] = RESULTS[each.result] ?? ["wait", each.result];
          return (
            <li key={each.input}>
              <span class="mono">{each.input}</span>
              <span class={`status ${mark}`}>{word}</span>
              <span class="fine">
                {each.why}
                {each.datasets?.map((dataset) => (
                  <>
                    {" "}
                    <Link to={`/datasets/${dataset}`}>{dataset}</Link>
                  </>
                ))}
              </span>
            </li>
          );
        })}
      </ul>
      {missing && (
        <p>
          <Link to="/datasets">See which datasets there are, or upload one</Link>
        </p>
      )}
    </>
  );
}
