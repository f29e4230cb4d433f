// Who sees what: the sign-in page, or the shell with a page inside.
import { useEffect } from "preact/hooks";
import { asApiError } from "./api";
import { Dialog } from "./components/dialog";
import { Notice } from "./components/notice";
import { Toasts } from "./components/toasts";
import { useFetched } from "./fetched";
import { SignIn, SignInForm } from "./pages/sign-in";
import { loadSession, session, signIn, takeCode } from "./session";
import { Shell } from "./shell";
import { useStore } from "./store";

/** A code in the address counts more than a session that is there already. */
async function begin(): Promise<string | null> {
  const code = takeCode();
  if (code) {
    try {
      await signIn({ code });
      return null;
    } catch (error) {
      await loadSession();
      // Who opens a used link while signed in wants the pages, not an error.
      return session.get().me ? null : asApiError(error).detail;
    }
  }
  await loadSession();
  return null;
}

export function App() {
  const { me, expired } = useStore(session);
  const begun = useFetched("begin", begin);
  useEffect(() => {
    const opened = () => {
      if (location.hash.startsWith("#code=")) begun.again();
    };
    addEventListener("hashchange", opened);
    return () => removeEventListener("hashchange", opened);
  }, []);
  if (begun.error) {
    return (
      <main class="alone">
        <Notice error={begun.error} onRetry={begun.again} />
      </main>
    );
  }
  if (me === undefined || begun.value === undefined)
    return <main class="alone" aria-busy="true" />;
  if (me === null) return <SignIn problem={begun.value} />;
  return (
    <>
      <Shell me={me} />
      {expired && (
        <Dialog title="Your session is over">
          <p class="quiet">Sign in again to go on. What you typed on this page is kept.</p>
          <SignInForm />
        </Dialog>
      )}
      <Toasts />
    </>
  );
}
