// One's own password: the old one, and twice the new one.
import { useState } from "preact/hooks";
import { useAction } from "../action";
import { addressOf, errorOf, raw, type Schemas } from "../api";
import { TextField } from "../components/form";
import { Notice } from "../components/notice";
import { toast } from "../components/toasts";
import { signIn } from "../session";

const SHORTEST = 10;

/** A wrong old password is a 401, which says nothing of the session here. */
async function change(body: Schemas["PasswordChange"], user: string): Promise<void> {
  const answer = await raw(addressOf("/api/v1/users/{user}/password", { user }), {
    method: "PUT",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  });
  if (!answer.ok) throw await errorOf(answer);
}

export function Password({ user }: { user: string }) {
  const [old, setOld] = useState("");
  const [wanted, setWanted] = useState("");
  const [again, setAgain] = useState("");
  const { state, run, reset } = useAction(async () => {
    await change({ ...(old ? { old } : {}), new: wanted }, user);
    // All tokens are revoked now, that of this session too: it goes on with a new one.
    await signIn({ user, password: wanted });
    setOld("");
    setWanted("");
    setAgain("");
    toast("Your password is changed. All your earlier tokens are revoked.");
  });
  const short = wanted !== "" && wanted.length < SHORTEST;
  const other = again !== "" && again !== wanted;
  return (
    <section class="panel" aria-labelledby="password">
      <h2 id="password">Password</h2>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (wanted.length >= SHORTEST && again === wanted) void run();
        }}
      >
        {/* For password managers: whose password it is. */}
        <input hidden autoComplete="username" readOnly value={user} />
        <TextField
          label="Old password"
          help="Leave it empty if you never had one."
          type="password"
          autoComplete="current-password"
          value={old}
          onValue={setOld}
        />
        <TextField
          label="New password"
          help={`${SHORTEST} characters or more.`}
          problem={short ? `${SHORTEST} characters or more, please.` : null}
          type="password"
          autoComplete="new-password"
          value={wanted}
          onValue={setWanted}
          required
        />
        <TextField
          label="New password again"
          problem={other ? "This is another one." : null}
          type="password"
          autoComplete="new-password"
          value={again}
          onValue={setAgain}
          required
        />
        {state.kind === "failed" && <Notice error={state.error} onClose={reset} />}
        <div class="row">
          <button
            type="submit"
            class="button"
            disabled={short || other}
            aria-disabled={state.kind === "pending"}
          >
            {state.kind === "pending" ? "Changing" : "Change the password"}
          </button>
          <span class="fine">All your tokens are revoked with it; you stay signed in here.</span>
        </div>
      </form>
    </section>
  );
}
