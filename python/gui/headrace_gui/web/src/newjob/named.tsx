// Inputs and outputs: members that the user names, each with the keys of the schema.
import { useState } from "preact/hooks";
import { TextField } from "../components/form";
import type { FormState } from "./fields";
import { Group } from "./fields";
import { type Schema, unwrapped } from "./schema";
import { valueAt } from "./text";
import { PathUpload } from "./upload";

interface NamedProps {
  /** `inputs` or `outputs`. */
  name: "inputs" | "outputs";
  schema: Schema;
  form: FormState;
}

const SHOWN = { inputs: ["category", "domain"], outputs: ["format"] };
const NEW = { inputs: { category: "FORCING", domain: {} }, outputs: { format: "GENERIC" } };

export function Named({ name, schema, form }: NamedProps) {
  const [typed, setTyped] = useState("");
  const of = unwrapped(schema);
  const one =
    typeof of.additionalProperties === "object" ? unwrapped(of.additionalProperties) : {};
  const there = valueAt(form.job, [name]);
  const members = there && typeof there === "object" ? Object.keys(there) : [];
  const thing = name === "inputs" ? "input" : "output";
  const whole = form.wrong.filter((each) => each.path === name).map((each) => each.reason);
  return (
    <>
      <p class="help">{of.description}</p>
      {whole.length > 0 && <p class="problem">{whole.join("; ")}</p>}
      {members.map((member) => (
        <div key={member} class="new-member">
          <div class="spread">
            <h3 class="mono">{member}</h3>
            <button
              type="button"
              class="button"
              onClick={() => form.set([name, member], undefined)}
            >
              Leave out<span class="visually-hidden"> {member}</span>
            </button>
          </div>
          <Group schema={one} path={[name, member]} form={form} show={SHOWN[name]} />
          {typeof valueAt(form.job, [name, member, "path"]) === "string" && (
            <PathUpload
              input={member}
              onDone={(requirement) => form.set([name, member], requirement)}
            />
          )}
        </div>
      ))}
      <form
        class="new-add"
        onSubmit={(event) => {
          event.preventDefault();
          if (!typed || members.includes(typed)) return;
          form.set([name, typed], NEW[name]);
          setTyped("");
        }}
      >
        <TextField
          label={`Name of a further ${thing}`}
          value={typed}
          placeholder={name === "inputs" ? "forcing" : "streamflow"}
          spellcheck={false}
          problem={members.includes(typed) ? "There is one of this name." : null}
          onValue={setTyped}
        />
        <button type="submit" class="button">
          Add an {thing}
        </button>
      </form>
    </>
  );
}
