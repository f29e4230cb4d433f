// With whom a job is shared, and how that is changed.
import { useState } from "preact/hooks";
import { ActionButton, useAction } from "../action";
import { api, type Schemas } from "../api";
import { Dialog } from "../components/dialog";
import { SelectField, TextField } from "../components/form";
import { Notice } from "../components/notice";
import type { Job } from "../live";

type Level = Schemas["Level"];

interface ShareProps {
  job: Job;
  onChange: () => void;
  onClose: () => void;
}

export function ShareDialog({ job, onChange, onClose }: ShareProps) {
  const [who, setWho] = useState("");
  const [level, setLevel] = useState<Level>("read");
  const path = { job: job.id };
  const share = useAction(async () => {
    await api.post("/api/v1/jobs/{job}:share", { path, body: { who: who.trim(), level } });
    setWho("");
    onChange();
  });
  const shares = job.shared ?? [];
  return (
    <Dialog title="Share the job" onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void share.run();
        }}
      >
        <TextField
          label="With whom"
          help="user:NAME, group:NAME or everyone"
          value={who}
          onValue={setWho}
          autoCapitalize="none"
          autoComplete="off"
          spellcheck={false}
          required
        />
        <SelectField
          label="They may"
          value={level}
          onValue={(value) => setLevel(value as Level)}
          options={[
            ["read", "see it"],
            ["write", "see and change it"],
          ]}
        />
        {share.state.kind === "failed" && (
          <Notice error={share.state.error} onClose={share.reset} />
        )}
        <button
          type="submit"
          class="button primary"
          aria-busy={share.state.kind === "pending"}
          aria-disabled={share.state.kind === "pending"}
        >
          {share.state.kind === "pending" ? "Sharing" : "Share"}
        </button>
      </form>
      <h3 class="shares-head">Shared with</h3>
      {shares.length === 0 && <p class="quiet">Nobody. You and admins see it.</p>}
      <ul class="shares" aria-label="Shared with">
        {shares.map((each) => (
          <li key={each.who} class="spread">
            <span>
              <span class="mono">{each.who}</span>{" "}
              <span class="fine">{each.level === "write" ? "see and change it" : "see it"}</span>
            </span>
            <ActionButton
              pending="Taking it back"
              work={async () => {
                await api.post("/api/v1/jobs/{job}:unshare", { path, body: { who: each.who } });
                onChange();
              }}
            >
              Take back
            </ActionButton>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
