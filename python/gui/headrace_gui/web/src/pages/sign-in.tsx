// Signing in: with a password, with a code of this machine's `headrace local`, or with a token.
import { useState } from "preact/hooks";
import "./sign-in.css";
import { useAction } from "../action";
import { TextField } from "../components/form";
import { Notice } from "../components/notice";
import mark from "../mark.svg";
import { type Shown, session, signIn } from "../session";
import { useStore } from "../store";

type Way = "password" | "code" | "token";
const WAYS: Record<Way, string> = { password: "Password", code: "Code", token: "Token" };

export function SignIn({ problem }: { problem: string | null }) {
  return (
    <main class="alone">
      <div class="sign-in">
        <div class="brand">
          <img src={mark} alt="" />
          <h1>Headrace</h1>
        </div>
        {problem && (
          <div class="notice" role="alert">
            <p>{problem}</p>
          </div>
        )}
        <div class="panel">
          <SignInForm />
        </div>
      </div>
    </main>
  );
}

export function SignInForm() {
  const { codes } = useStore(session);
  const [way, setWay] = useState<Way>(codes ? "code" : "password");
  const [typed, setTyped] = useState({ user: "", password: "", code: "", token: "" });
  const action = useAction(() => signIn(shown()));
  const shown = (): Shown => {
    if (way === "password") return { user: typed.user, password: typed.password };
    return way === "code" ? { code: typed.code } : { token: typed.token };
  };
  const put = (name: keyof typeof typed) => (value: string) =>
    setTyped((now) => ({ ...now, [name]: value }));
  const pending = action.state.kind === "pending";
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void action.run();
      }}
    >
      <fieldset class="ways">
        <legend class="visually-hidden">Sign in with</legend>
        {(Object.keys(WAYS) as Way[])
          .filter((each) => each !== "code" || codes)
          .map((each) => (
            <button
              key={each}
              type="button"
              aria-pressed={way === each}
              onClick={() => {
                setWay(each);
                action.reset();
              }}
            >
              {WAYS[each]}
            </button>
          ))}
      </fieldset>
      {way === "password" && (
        <>
          <TextField
            label="User"
            value={typed.user}
            onValue={put("user")}
            autoComplete="username"
            autoCapitalize="none"
            spellcheck={false}
            required
          />
          <TextField
            label="Password"
            type="password"
            value={typed.password}
            onValue={put("password")}
            autoComplete="current-password"
            required
          />
        </>
      )}
      {way === "code" && (
        <TextField
          label="One-time code"
          help={
            <>
              <code>headrace local gui</code> prints one on this machine.
            </>
          }
          value={typed.code}
          onValue={put("code")}
          autoComplete="one-time-code"
          autoCapitalize="none"
          spellcheck={false}
          required
        />
      )}
      {way === "token" && (
        <TextField
          label="Token"
          type="password"
          help="It is kept encrypted, out of the page's reach. Signing out does not revoke it."
          value={typed.token}
          onValue={put("token")}
          autoComplete="off"
          required
        />
      )}
      <button type="submit" class="button primary" aria-disabled={pending} aria-busy={pending}>
        {pending && <span class="spinner" aria-hidden="true" />}
        {pending ? "Signing in" : "Sign in"}
      </button>
      {action.state.kind === "failed" && <Notice error={action.state.error} />}
    </form>
  );
}
