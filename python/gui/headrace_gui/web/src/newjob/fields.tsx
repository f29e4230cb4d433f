// The form of a job, made from the JSON Schema: a control a key.
import { useEffect, useState } from "preact/hooks";
import { parse, stringify } from "yaml";
import { Field, SelectField, TextArea, TextField } from "../components/form";
import { controlOf, exampleOf, labelOf, type Schema, takesNumber, unwrapped } from "./schema";
import { OPTIONS, type Path, pathText, type Value, valueAt, type Wrong } from "./text";

export interface FormState {
  job: Record<string, Value>;
  wrong: readonly Wrong[];
  set: (path: Path, value: Value) => void;
}

interface FieldProps {
  schema: Schema;
  path: Path;
  form: FormState;
  required?: boolean;
}

/** What is wrong at a place; `below`: and at all that it holds. */
function problemAt(form: FormState, path: Path, below: boolean): string | null {
  const at = pathText(path);
  const found = form.wrong.filter(
    (each) =>
      each.path === at ||
      (below && /^[.[]/.test(each.path.slice(at.length)) && each.path.startsWith(at)),
  );
  return found.length
    ? found
        .map((each) =>
          each.path === at ? each.reason : `${each.path.slice(at.length + 1)}: ${each.reason}`,
        )
        .join("; ")
    : null;
}

export function SchemaField({ schema: given, path, form, required }: FieldProps) {
  const schema = unwrapped(given);
  const key = String(path[path.length - 1]);
  const control = controlOf(schema);
  const value = valueAt(form.job, path);
  const set = (next: Value) => form.set(path, next);
  const common = {
    label: required ? `${labelOf(key)} (needed)` : labelOf(key),
    help: schema.description,
    problem: problemAt(form, path, control !== "group"),
  };
  // A value of another shape than its control's, such as a map where a line is: as YAML.
  const fits = value === undefined || value === null || shaped(control, value);
  switch (fits ? control : "yaml") {
    case "group":
      return <Group schema={schema} path={path} form={form} />;
    case "choice":
      return (
        <Choice {...common} options={(schema.enum ?? []).map(String)} value={value} set={set} />
      );
    case "flag":
      return (
        <Choice
          {...common}
          options={["true", "false"]}
          value={value}
          set={(next) => set(next === undefined ? undefined : next === "true")}
        />
      );
    case "several":
      return (
        <Several
          {...common}
          options={(unwrapped(schema.items ?? {}).enum ?? []).map(String)}
          value={value}
          set={set}
        />
      );
    case "pair":
      return <Pair {...common} value={value} set={set} />;
    case "lines":
      return <Lines {...common} items={schema.items ?? {}} value={value} set={set} />;
    case "line":
      return (
        <TextField
          {...common}
          value={value === undefined || value === null ? "" : String(value)}
          placeholder={exampleOf(schema)}
          spellcheck={false}
          onValue={(typed) => set(scalar(typed, takesNumber(schema)))}
        />
      );
    default:
      return <Yaml {...common} value={value} set={set} />;
  }
}

function shaped(control: string, value: Value): boolean {
  const flat = typeof value !== "object";
  if (control === "group") return !flat && !Array.isArray(value);
  if (control === "pair" || control === "lines" || control === "several") {
    const items = Array.isArray(value) ? value : null;
    return (
      items?.every((each) => typeof each !== "object" && !String(each).includes("\n")) ?? false
    );
  }
  return control === "yaml" || flat;
}

function scalar(typed: string, number: boolean): Value {
  if (typed === "") return undefined;
  return number && /^-?(0|[1-9]\d*)(\.\d+)?$/.test(typed) ? Number(typed) : typed;
}

interface ControlProps {
  label: string;
  help?: string | undefined;
  problem: string | null;
  value: Value;
  set: (value: Value) => void;
}

function Choice({ options, value, set, ...more }: ControlProps & { options: string[] }) {
  const now = value === undefined || value === null ? "" : String(value);
  const all = now && !options.includes(now) ? [...options, now] : options;
  return (
    <SelectField
      {...more}
      value={now}
      options={[["", "– as by default –"], ...all.map((each) => [each, each] as const)]}
      onValue={(next) => set(next || undefined)}
    />
  );
}

function Several({ options, value, set, ...more }: ControlProps & { options: string[] }) {
  const now = Array.isArray(value) ? value.map(String) : [];
  const flip = (each: string) => {
    const next = now.includes(each) ? now.filter((one) => one !== each) : [...now, each];
    set(next.length ? next : undefined);
  };
  return (
    <Field {...more}>
      {(ids) => (
        <div {...ids} role="group" aria-label={more.label} class="new-several" tabIndex={-1}>
          {options.map((each) => (
            <label key={each} class="check">
              <input type="checkbox" checked={now.includes(each)} onChange={() => flip(each)} />
              {each}
            </label>
          ))}
        </div>
      )}
    </Field>
  );
}

function Pair({ value, set, ...more }: ControlProps) {
  const [begin = "", end = ""] = Array.isArray(value) ? value.map(String) : [];
  const put = (next: [string, string]) => set(next[0] || next[1] ? next : undefined);
  return (
    <Field {...more} help={`${more.help ?? ""} In UTC; the end is no part of it.`}>
      {(ids) => (
        <div class="new-pair">
          <input
            {...ids}
            aria-label={`${more.label}: begin`}
            placeholder="1979-01-01"
            value={begin}
            onInput={(event) => put([event.currentTarget.value, end])}
          />
          <span aria-hidden="true">to</span>
          <input
            aria-invalid={ids["aria-invalid"]}
            aria-label={`${more.label}: end`}
            placeholder="1981-01-01T06:00Z"
            value={end}
            onInput={(event) => put([begin, event.currentTarget.value])}
          />
        </div>
      )}
    </Field>
  );
}

/** What is typed is kept as long as it means the value: an empty last line is no item yet. */
function useTyped(shown: string, means: (typed: string) => string) {
  const [typed, setTyped] = useState(shown);
  useEffect(() => {
    if (means(typed) !== shown) setTyped(shown);
  }, [shown]);
  return [typed, setTyped] as const;
}

function Lines({ items, value, set, ...more }: ControlProps & { items: Schema }) {
  const shown = Array.isArray(value) ? value.map(String).join("\n") : "";
  const split = (text: string) => text.split("\n").filter((each) => each !== "");
  const [typed, setTyped] = useTyped(shown, (text) => split(text).join("\n"));
  const number = takesNumber(unwrapped(items)) && !unwrapped(items).type?.includes("string");
  return (
    <TextArea
      {...more}
      help={`${more.help ?? ""} One a line.`}
      rows={Math.min(8, Math.max(2, typed.split("\n").length))}
      spellcheck={false}
      placeholder={exampleOf(items)
        ?.replace(/^\[(.*)\]$/, "$1")
        .split(", ")
        .join("\n")}
      value={typed}
      onValue={(text) => {
        setTyped(text);
        const next = split(text).map((each) => scalar(each, number));
        set(next.length ? next : undefined);
      }}
    />
  );
}

function Yaml({ value, set, ...more }: ControlProps) {
  const shown =
    value === undefined || value === null ? "" : stringify(value, { ...OPTIONS, lineWidth: 80 });
  const [bad, setBad] = useState<string | null>(null);
  const [typed, setTyped] = useTyped(shown, (text) => {
    try {
      return text.trim() ? stringify(parse(text, OPTIONS), { ...OPTIONS, lineWidth: 80 }) : "";
    } catch {
      return shown; // not yet YAML: the value stays as it was
    }
  });
  return (
    <TextArea
      {...more}
      help={`${more.help ?? ""} As YAML.`}
      problem={bad ?? more.problem}
      rows={Math.min(12, Math.max(2, typed.split("\n").length))}
      spellcheck={false}
      value={typed}
      onValue={(text) => {
        setTyped(text);
        try {
          set(text.trim() ? parse(text, OPTIONS) : undefined);
          setBad(null);
        } catch (error) {
          setBad(String(error).split("\n")[0] ?? "");
        }
      }}
    />
  );
}

/** The keys of an object: those that are needed or said first, others when they are asked for. */
export function Group({ schema, path, form, show = [] }: FieldProps & { show?: string[] }) {
  const needed = new Set(schema.required);
  const keys = Object.entries(schema.properties ?? {});
  const said = (key: string) =>
    needed.has(key) || show.includes(key) || valueAt(form.job, [...path, key]) !== undefined;
  // Where a key stands must not change while it is typed.
  const [first] = useState(() => new Set(keys.map(([key]) => key).filter(said)));
  const field = ([key, each]: [string, Schema]) => (
    <SchemaField
      key={key}
      schema={each}
      path={[...path, key]}
      form={form}
      required={needed.has(key) && (there || path[0] === "settings")}
    />
  );
  const there = valueAt(form.job, path) !== undefined;
  const name = labelOf(String(path[path.length - 1]));
  const rest = keys.filter(([key]) => !first.has(key));
  const few = show.length === 0 && keys.length <= 5;
  const own = problemAt(form, path, false);
  return (
    <fieldset class="new-group">
      <legend class={isHeaded(path) ? "visually-hidden" : ""}>{name}</legend>
      {own && <p class="problem">{own}</p>}
      {few ? keys.map(field) : keys.filter(([key]) => first.has(key)).map(field)}
      {!few && rest.length > 0 && (
        <details>
          <summary>
            {rest.length} more {rest.length === 1 ? "setting" : "settings"}
          </summary>
          <div class="new-more">{rest.map(field)}</div>
        </details>
      )}
    </fieldset>
  );
}

/** Whether a heading above says its name already. */
function isHeaded(path: Path): boolean {
  return path.length === 1 || (path.length === 2 && /^(in|out)puts$/.test(String(path[0])));
}
