// What a result is: period, unit, how many gauges; which metric and run are shown, and with what.
import { useNow } from "../clock";
import { SelectField } from "../components/form";
import { Icon } from "../components/icons";
import { useFetched } from "../fetched";
import { ago, count } from "../format";
import { Link, setQuery } from "../router";
import { listed } from "./list";
import { itemAddress, type Metric, nameOf, type Result, type Run, titled } from "./result";

interface Props {
  result: Result;
  results: readonly Result[];
  runs: readonly Run[];
  run: Run;
  metrics: readonly (readonly [string, Metric])[];
  metric: string;
}

export function Head({ result, results, runs, run, metrics, metric }: Props) {
  const { said, dataset } = result;
  const [begin, end] = said.settings.period ?? [];
  return (
    <>
      <div class="spread">
        <h1 title={dataset.title}>{nameOf(dataset)}</h1>
        <div class="row">
          {dataset.origin && (
            <Link to={`/jobs/${dataset.origin.job}`} class="button">
              The job
            </Link>
          )}
          {["scores.csv", "report.html"].map((file) => (
            <a key={file} class="button" href={itemAddress(dataset.id, file)} download={file}>
              <Icon name="download" />
              {file}
            </a>
          ))}
        </div>
      </div>
      <p class="quiet">
        {said.counts.scored.toLocaleString()} of {count(said.counts.locations, "gauge")} scored
        {begin && end && `, ${begin.slice(0, 10)} to ${end.slice(0, 10)}`}
        {said.settings.warm_up_days
          ? `, without the first ${said.settings.warm_up_days} days (warm-up)`
          : ""}
        ; values in {said.unit}.
        {said.unreadable.length > 0 &&
          ` ${count(said.unreadable.length, "file")} could not be read: ${said.unreadable[0]}`}
      </p>
      <div class="evaluation-controls">
        <SelectField
          label="Metric"
          value={metric}
          onValue={(value) => setQuery({ metric: value })}
          options={metrics.map(([name, each]) => [name, titled(name, each)] as const)}
        />
        {runs.length > 1 && (
          <SelectField
            label="Run"
            value={run.label}
            onValue={(value) => setQuery({ run: value })}
            options={runs.map((each) => [each.label, each.label] as const)}
          />
        )}
        <Beside results={results} />
      </div>
    </>
  );
}

/** Put another result beside it, or take one away. */
function Beside({ results }: { results: readonly Result[] }) {
  const [first, ...others] = results;
  const now = useNow();
  const found = useFetched("results", (signal) => listed("EVALUATION_RESULT", signal));
  const names = new Set(results.map((each) => each.dataset.id));
  const free = (found.value ?? []).filter((each) => !names.has(each.id));
  const put = (ids: readonly string[]) => setQuery({ with: ids.join(","), run: "" });
  const beside = others.map((each) => each.dataset.id);
  return (
    <>
      <SelectField
        label="Compare with"
        value=""
        onValue={(id) => id && put([...beside, id])}
        options={[
          ["", free.length ? "another result …" : "no other result"],
          ...free.map((each) => [each.id, `${nameOf(each)} (${ago(each.created, now)})`] as const),
        ]}
      />
      {others.map((each) => (
        <button
          key={each.dataset.id}
          type="button"
          class="button"
          aria-label={`Take ${nameOf(each.dataset)} away`}
          title={each.dataset.title}
          onClick={() => put(beside.filter((id) => id !== each.dataset.id))}
        >
          {nameOf(each.dataset)} ✕
        </button>
      ))}
      {first && found.error && <span class="fine">{found.error.detail}</span>}
    </>
  );
}
