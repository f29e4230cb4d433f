// One's own tokens: make, show once, revoke.
import { useState } from "preact/hooks";
import { useAction } from "../action";
import { api, type Schemas } from "../api";
import { useNow } from "../clock";
import { Confirm } from "../components/confirm";
import { Dialog } from "../components/dialog";
import { CheckField, SelectField, TextField } from "../components/form";
import { Icon } from "../components/icons";
import { Notice } from "../components/notice";
import { Once } from "../components/once";
import { toast } from "../components/toasts";
import { useFetched } from "../fetched";
import { ago, dateTime } from "../format";
import type { Me } from "../session";

type Token = Schemas["TokenView"];
type Scope = Schemas["Scope"];

const SCOPES: readonly (readonly [Scope, string])[] = [
  ["read", "read: see jobs, data and nodes"],
  ["jobs", "jobs: submit and steer jobs"],
  ["data", "data: make, change and delete datasets"],
  ["account", "account: own tokens, password, secrets and webhooks"],
  ["admin", "admin: people, nodes, maintenance"],
];
const USUAL: readonly Scope[] = ["read", "jobs", "data"];
const LASTS = [
  ["1d", "1 day"],
  ["7d", "7 days"],
  ["30d", "30 days"],
  ["90d", "90 days"],
  ["365d", "A year"],
] as const;

export function Tokens({ me }: { me: Me }) {
  const tokens = useFetched("tokens", (signal) => api.get("/api/v1/tokens", { signal }));
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Token | null>(null);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const rows = tokens.value?.tokens ?? [];
  return (
    <section class="panel account-wide" aria-labelledby="tokens">
      <div class="spread">
        <h2 id="tokens">Tokens</h2>
        <button type="button" class="button" onClick={() => setMaking(true)}>
          <Icon name="add" /> Make a token
        </button>
      </div>
      <p class="fine">
        A token lets a program in as you. It never allows more than your role; each sign-in has one
        too.
      </p>
      {tokens.error && <Notice error={tokens.error} onRetry={tokens.again} />}
      <ul class="account-rows" aria-label="Your tokens">
        {rows.map((token) => (
          <li key={token.id}>
            <TokenRow token={token} />
            <button
              type="button"
              class="button"
              aria-label={`Revoke ${token.label || token.id}`}
              onClick={() => setRevoking(token)}
            >
              Revoke
            </button>
          </li>
        ))}
        {tokens.value && rows.length === 0 && <li class="quiet">You have no tokens.</li>}
      </ul>
      {making && (
        <NewToken
          scopes={me.scopes ?? []}
          onClose={() => setMaking(false)}
          onMade={(token) => {
            setMaking(false);
            setMade(token);
            tokens.again();
          }}
        />
      )}
      {made && (
        <Once
          title="Your new token"
          label={`Token ${made.label || made.id}`}
          secret={made.token ?? ""}
          about="Give it to the program now (HEADRACE_TOKEN, or a file for --token-file)."
          onClose={() => setMade(null)}
        />
      )}
      {revoking && (
        <Confirm
          title={`Revoke ${revoking.label || revoking.id}?`}
          verb="Revoke"
          pending="Revoking"
          danger
          onClose={() => setRevoking(null)}
          work={async () => {
            await api.delete("/api/v1/tokens/{token}", { path: { token: revoking.id } });
            toast(`Token ${revoking.label || revoking.id} is revoked.`);
            tokens.again();
          }}
        >
          <p>
            Within some seconds nobody gets in with it any more. That can't be taken back. If it is
            the one of this sign-in, you sign in again.
          </p>
        </Confirm>
      )}
    </section>
  );
}

function TokenRow({ token }: { token: Token }) {
  const now = useNow();
  const over = token.expires && Date.parse(token.expires) <= now;
  return (
    <div class="account-row-words">
      <span>
        <strong>{token.label || "No label"}</strong> <span class="fine mono">{token.id}</span>
      </span>
      <span class="fine">
        {(token.scopes ?? []).join(", ")} · made{" "}
        <time dateTime={token.created} title={`${dateTime(token.created)} (${token.created})`}>
          {ago(token.created, now)}
        </time>
        {token.expires && (
          <>
            {" · "}
            {over ? "expired" : "good until"}{" "}
            <time dateTime={token.expires} title={token.expires}>
              {dateTime(token.expires)}
            </time>
          </>
        )}
      </span>
    </div>
  );
}

interface NewTokenProps {
  /** What may be given on: the scopes of the session. */
  scopes: readonly Scope[];
  onMade: (token: Token) => void;
  onClose: () => void;
}

function NewToken({ scopes, onMade, onClose }: NewTokenProps) {
  const [label, setLabel] = useState("");
  const [lasts, setLasts] = useState("30d");
  const [chosen, setChosen] = useState<ReadonlySet<Scope>>(
    new Set(USUAL.filter((each) => scopes.includes(each))),
  );
  const { state, run, reset } = useAction(async () =>
    onMade(
      await api.post("/api/v1/tokens", {
        body: { label: label.trim(), scopes: [...chosen], expires_in: lasts },
      }),
    ),
  );
  const choose = (scope: Scope, on: boolean) => {
    const next = new Set(chosen);
    if (on) next.add(scope);
    else next.delete(scope);
    setChosen(next);
  };
  return (
    <Dialog title="Make a token" onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <TextField
          label="Label"
          help="What it is for, such as the name of the program."
          value={label}
          onValue={setLabel}
          autoComplete="off"
        />
        <fieldset class="account-scopes">
          <legend>It may be used to</legend>
          {SCOPES.filter(([scope]) => scopes.includes(scope)).map(([scope, about]) => (
            <CheckField
              key={scope}
              label={about}
              checked={chosen.has(scope)}
              onValue={(on) => choose(scope, on)}
            />
          ))}
        </fieldset>
        <SelectField label="It is good for" value={lasts} onValue={setLasts} options={LASTS} />
        {state.kind === "failed" && <Notice error={state.error} onClose={reset} />}
        <div class="row">
          <button
            type="submit"
            class="button primary"
            disabled={chosen.size === 0}
            aria-disabled={state.kind === "pending"}
          >
            {state.kind === "pending" ? "Making" : "Make the token"}
          </button>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
