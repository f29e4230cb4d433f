// What else is kept for a user: webhooks, and the names of secrets (nobody reads their values).
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { api } from "../api";
import { Confirm } from "../components/confirm";
import { Notice } from "../components/notice";
import { toast } from "../components/toasts";
import { type Fetched, useFetched } from "../fetched";
import { count, dateTime } from "../format";

interface Kept {
  id: string;
  name: string;
  about: ComponentChildren;
}

export function Webhooks() {
  const read = useFetched("webhooks", (signal) => api.get("/api/v1/webhooks", { signal }));
  const rows = (read.value?.webhooks ?? []).map((hook) => ({
    id: hook.id,
    name: hook.url,
    about: (
      <>
        when jobs {hook.events.join(", ")}
        {hook.kind && `, of kind ${hook.kind}`}
        {hook.name && `, named ${hook.name}…`}
        {Boolean(hook.waiting) && ` · ${count(hook.waiting ?? 0, "message")} still to send`}
        {hook.error && <span class="account-bad"> · {hook.error}</span>}
      </>
    ),
  }));
  return (
    <KeptList
      id="webhooks"
      title="Webhooks"
      hint={
        <>
          <code>headrace webhooks add https://…</code> has an address told of your jobs.
        </>
      }
      read={read}
      rows={rows}
      drop={(webhook) => api.delete("/api/v1/webhooks/{webhook}", { path: { webhook } })}
    />
  );
}

export function Secrets() {
  const read = useFetched("secrets", (signal) => api.get("/api/v1/secrets", { signal }));
  const rows = (read.value?.secrets ?? []).map((secret) => ({
    id: secret.name,
    name: secret.name,
    about: `changed ${dateTime(secret.changed)}`,
  }));
  return (
    <KeptList
      id="secrets"
      title="Secrets for jobs"
      hint={
        <>
          <code>headrace secrets set NAME</code> keeps one; only your jobs get it.
        </>
      }
      read={read}
      rows={rows}
      drop={(secret) => api.delete("/api/v1/secrets/{secret}", { path: { secret } })}
    />
  );
}

interface KeptListProps {
  id: string;
  title: string;
  hint: ComponentChildren;
  read: Fetched<unknown>;
  rows: readonly Kept[];
  drop: (id: string) => Promise<unknown>;
}

function KeptList({ id, title, hint, read, rows, drop }: KeptListProps) {
  const [dropped, setDropped] = useState<Kept | null>(null);
  return (
    <section class="panel" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {read.error && <Notice error={read.error} onRetry={read.again} />}
      <ul class="account-rows" aria-labelledby={id}>
        {rows.map((row) => (
          <li key={row.id}>
            <div class="account-row-words">
              <strong>{row.name}</strong>
              <span class="fine">{row.about}</span>
            </div>
            <button
              type="button"
              class="button"
              aria-label={`Delete ${row.name}`}
              onClick={() => setDropped(row)}
            >
              Delete
            </button>
          </li>
        ))}
        {rows.length === 0 && <li class="quiet">{read.value ? "None. " : ""}</li>}
      </ul>
      <p class="fine">{hint}</p>
      {dropped && (
        <Confirm
          title={`Delete ${dropped.name}?`}
          verb="Delete"
          pending="Deleting"
          danger
          onClose={() => setDropped(null)}
          work={async () => {
            await drop(dropped.id);
            toast(`${dropped.name} is deleted.`);
            read.again();
          }}
        >
          <p>That can't be taken back.</p>
        </Confirm>
      )}
    </section>
  );
}
