// Who may use a dataset, and giving and taking that.
import { useState } from "preact/hooks";
import { ActionButton, useAction } from "../action";
import { api, type Schemas } from "../api";
import { SelectField, TextField } from "../components/form";
import { Notice } from "../components/notice";
import type { Dataset } from "./domain";
import type { May } from "./may";

type Level = Schemas["Level"];
const LEVELS: readonly (readonly [Level, string])[] = [
  ["read", "read it"],
  ["write", "read and write it"],
];

interface AccessProps {
  dataset: Dataset;
  may: May;
  onChange: (dataset: Dataset) => void;
}

/** `ann` is user:ann; groups and everyone are said as the API says them. */
export function whoOf(typed: string): string {
  const who = typed.trim();
  return who === "everyone" || who.includes(":") ? who : `user:${who}`;
}

export function whoWords(who: string): string {
  if (who === "everyone") return "everyone";
  const [kind, name] = who.split(":");
  return kind === "group" ? `group ${name}` : (name ?? who);
}

export function Access({ dataset, may, onChange }: AccessProps) {
  const path = { dataset: dataset.id };
  return (
    <section class="panel" aria-labelledby="access">
      <h2 id="access">Who may use it</h2>
      <ul class="dataset-shares">
        <li>{dataset.owner}, its owner, and admins: everything</li>
        {dataset.shared.map(({ who, level }) => (
          <li key={who} class="spread">
            <span>
              {whoWords(who)}: {level === "write" ? "reads and writes it" : "reads it"}
            </span>
            {may.own && (
              <ActionButton
                pending="Taking back"
                done={`No longer shared with ${whoWords(who)}.`}
                title={`Share it no longer with ${whoWords(who)}`}
                work={async () =>
                  onChange(
                    await api.post("/api/v1/datasets/{dataset}:unshare", { path, body: { who } }),
                  )
                }
              >
                Take back
              </ActionButton>
            )}
          </li>
        ))}
      </ul>
      {may.own && <ShareForm {...{ dataset, onChange }} />}
    </section>
  );
}

function ShareForm({ dataset, onChange }: Pick<AccessProps, "dataset" | "onChange">) {
  const [who, setWho] = useState("");
  const [level, setLevel] = useState<Level>("read");
  const share = useAction(async () => {
    const body = { who: whoOf(who), level };
    const path = { dataset: dataset.id };
    onChange(await api.post("/api/v1/datasets/{dataset}:share", { path, body }));
    setWho("");
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (who.trim()) void share.run();
      }}
    >
      <div class="dataset-share">
        <TextField
          label="Share with"
          placeholder="ann, group:models or everyone"
          value={who}
          onValue={setWho}
          spellcheck={false}
          autoCapitalize="off"
        />
        <SelectField
          label="who may"
          value={level}
          onValue={(value) => setLevel(value as Level)}
          options={LEVELS}
        />
        <button type="submit" class="button" aria-disabled={share.state.kind === "pending"}>
          Share
        </button>
      </div>
      {share.state.kind === "failed" && <Notice error={share.state.error} onClose={share.reset} />}
    </form>
  );
}
