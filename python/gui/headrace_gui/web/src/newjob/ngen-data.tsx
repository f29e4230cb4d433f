// Where a run of ngen gets its data: what there is, against the time that is asked for.
import { SelectField } from "../components/form";
import { AxisHead, axisOf, Coverage } from "../datasets/coverage";
import { type Dataset, namesOf, type Span, spansOf } from "../datasets/domain";
import { uncovered } from "./ngen";

interface ForcingProps {
  forcings: readonly Dataset[];
  chosen: Dataset | null;
  catchments: readonly string[];
  begin: string;
  end: string;
  asked: Span | null;
  onChoose: (forcing: Dataset | null) => void;
  onTime: (span: Span) => void;
}

export function Forcings(props: ForcingProps) {
  const { forcings, chosen, asked, begin, end, onChoose, onTime } = props;
  const axis = axisOf(forcings, asked);
  const spans = chosen ? spansOf(chosen.domain) : [];
  const [first, last] = [spans[0], spans.at(-1)];
  const time = chosen && uncovered(chosen, begin, end);
  const there = chosen && namesOf(chosen.domain, "CATCHMENT_ID");
  const lacking = there ? props.catchments.filter((each) => !there.includes(each)) : [];
  return (
    <fieldset class="ngen-forcing">
      <legend>Forcing</legend>
      {axis && (
        <p class="ngen-row" aria-hidden="true">
          <span class="fine">UTC</span>
          <AxisHead axis={axis} />
        </p>
      )}
      <label class="ngen-row">
        <span class="check">
          <input
            type="radio"
            name="forcing"
            checked={chosen === null}
            onChange={() => onChoose(null)}
          />
          What covers the time and the catchments
        </span>
        {asked && axis && <Asked span={asked} axis={axis} />}
      </label>
      {forcings.map((each) => (
        <label key={each.id} class="ngen-row">
          <span class="check">
            <input
              type="radio"
              name="forcing"
              checked={chosen?.id === each.id}
              onChange={() => onChoose(each)}
            />
            <span>
              {each.title} <span class="fine">{each.format}</span>
            </span>
          </span>
          <Coverage row={each} axis={axis} />
        </label>
      ))}
      {chosen && first && last && (
        <button type="button" class="button" onClick={() => onTime([first[0], last[1]])}>
          Take all of its time
        </button>
      )}
      <div role="status" class="ngen-told">
        {time && <p>{time}</p>}
        {lacking.length > 0 && (
          <p>
            It has nothing for {lacking.length.toLocaleString()} of the catchments:{" "}
            {lacking.slice(0, 5).join(", ")}
            {lacking.length > 5 && " …"}
          </p>
        )}
      </div>
    </fieldset>
  );
}

/** The time of the run, on the axis of what covers it. */
function Asked({ span, axis }: { span: Span; axis: Span }) {
  const all = axis[1] - axis[0];
  const left = ((span[0] - axis[0]) / all) * 100;
  const width = ((span[1] - span[0]) / all) * 100;
  return (
    <span class="coverage" role="img" aria-label="The time of the run">
      <span
        class="coverage-part ngen-asked"
        style={{ left: `min(${left}%, 100% - 3px)`, width: `max(3px, ${width}%)` }}
      />
    </span>
  );
}

interface ConfigProps {
  configs: readonly Dataset[];
  chosen: readonly Dataset[];
  onChoose: (configs: readonly Dataset[]) => void;
}

export function Configs({ configs, chosen, onChoose }: ConfigProps) {
  const flip = (each: Dataset) =>
    onChoose(
      chosen.some((one) => one.id === each.id)
        ? chosen.filter((one) => one.id !== each.id)
        : [...chosen, each],
    );
  return (
    <fieldset class="ngen-forcing">
      <legend>Formulation and configs</legend>
      <p class="help">
        With none, they are found by what they cover. One composite or realization config is taken
        as that; of several the config of the run is made.
      </p>
      {configs.length === 0 && <p class="quiet">There are no datasets with configs.</p>}
      {configs.map((each) => (
        <label key={each.id} class="check">
          <input
            type="checkbox"
            checked={chosen.some((one) => one.id === each.id)}
            onChange={() => flip(each)}
          />
          <span>
            {each.title} <span class="fine">{each.format}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

interface PickProps {
  label: string;
  help: string;
  none: string;
  datasets: readonly Dataset[];
  chosen: Dataset | null;
  onChoose: (dataset: Dataset | null) => void;
}

export function Pick({ label, help, none, datasets, chosen, onChoose }: PickProps) {
  return (
    <SelectField
      label={label}
      help={help}
      value={chosen?.id ?? ""}
      options={[
        ["", none],
        ...datasets.map((each) => [each.id, `${each.title} · ${each.format}`] as const),
      ]}
      onValue={(id) => onChoose(datasets.find((each) => each.id === id) ?? null)}
    />
  );
}
