// Fields of forms: a label, the control, what it is for, what is wrong with it.
import type { ComponentChildren, InputHTMLAttributes, TextareaHTMLAttributes } from "preact";
import { useId } from "preact/hooks";

interface Around {
  label: string;
  /** What it means, its unit, an example. */
  help?: ComponentChildren;
  /** What is wrong with it, as a sentence. */
  problem?: string | null;
}

interface Ids {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean;
}

export function Field(props: Around & { children: (ids: Ids) => ComponentChildren }) {
  const id = useId();
  const { label, help, problem } = props;
  const about = [help && `${id}-help`, problem && `${id}-problem`].filter(Boolean).join(" ");
  const ids = { id, "aria-describedby": about || undefined, "aria-invalid": Boolean(problem) };
  return (
    <div class={`field ${problem ? "wrong" : ""}`}>
      <label for={id}>{label}</label>
      {props.children(ids)}
      {help && (
        <p class="help" id={`${id}-help`}>
          {help}
        </p>
      )}
      {problem && (
        <p class="problem" id={`${id}-problem`}>
          {problem}
        </p>
      )}
    </div>
  );
}

type InputProps = Around & {
  value: string;
  onValue: (value: string) => void;
} & Pick<
    InputHTMLAttributes<HTMLInputElement>,
    | "autoCapitalize"
    | "autoComplete"
    | "disabled"
    | "inputMode"
    | "max"
    | "min"
    | "placeholder"
    | "readOnly"
    | "required"
    | "spellcheck"
    | "step"
  > & { type?: "text" | "password" | "number" | "email" | "url" | "datetime-local" | "date" };

export function TextField({
  label,
  help,
  problem,
  value,
  onValue,
  type = "text",
  ...more
}: InputProps) {
  return (
    <Field label={label} help={help} problem={problem ?? null}>
      {(ids) => (
        <input
          {...more}
          {...ids}
          // Each type has attributes of its own, of which the union of types would allow none.
          type={type as "text"}
          value={value}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

type AreaProps = Around & {
  value: string;
  onValue: (value: string) => void;
} & Pick<
    TextareaHTMLAttributes<HTMLTextAreaElement>,
    "disabled" | "placeholder" | "readOnly" | "required" | "rows" | "spellcheck"
  >;

export function TextArea({ label, help, problem, value, onValue, ...more }: AreaProps) {
  return (
    <Field label={label} help={help} problem={problem ?? null}>
      {(ids) => (
        <textarea
          {...more}
          {...ids}
          value={value}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

interface SelectProps extends Around {
  value: string;
  onValue: (value: string) => void;
  /** Value and what is shown for it. */
  options: readonly (readonly [string, string])[];
}

export function SelectField({ label, help, problem, value, onValue, options }: SelectProps) {
  return (
    <Field label={label} help={help} problem={problem ?? null}>
      {(ids) => (
        <select {...ids} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
          {options.map(([each, shown]) => (
            <option key={each} value={each}>
              {shown}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface CheckProps {
  label: string;
  checked: boolean;
  onValue: (checked: boolean) => void;
}

export function CheckField({ label, checked, onValue }: CheckProps) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={checked}
        onChange={(event) => onValue(event.currentTarget.checked)}
      />
      {label}
    </label>
  );
}
