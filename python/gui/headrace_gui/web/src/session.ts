// Who is signed in. The token itself is in a cookie that no script can read.
import { errorOf, raw, type Schemas } from "./api";
import { Store } from "./store";

/** A server that is silent for longer is taken for one that is away. */
const ANSWER_MS = 10_000;

export type Me = Schemas["MeView"];

export interface SessionState {
  /** undefined: not known yet. */
  me: Me | null | undefined;
  /** Whether one-time codes of `headrace local` are taken. */
  codes: boolean;
  /** The session ended while a page was open: it stays as it is until somebody signs in. */
  expired: boolean;
}

export type Shown = { user: string; password: string } | { token: string } | { code: string };

export const session = new Store<SessionState>({ me: undefined, codes: false, expired: false });

/** Whom this tab showed last: their pages are for nobody else. */
let shown: string | undefined;
/** How often somebody signed in or out here: an answer to a question asked before is old. */
let turns = 0;
const tabs = new BroadcastChannel("session");
tabs.onmessage = () => void loadSession().catch(() => undefined);

async function answered(answer: Response): Promise<void> {
  if (!answer.ok) throw await errorOf(answer);
  const { me, codes } = (await answer.json()) as { me: Me | null; codes: boolean };
  const before = session.get();
  if (me && shown !== undefined && me.name !== shown) {
    location.reload(); // the page shows what another user may see
    return;
  }
  shown = me?.name ?? shown;
  // Whose session ended meanwhile keeps the page, and what they typed on it.
  if (!me && before.me) session.set({ ...before, codes, expired: true });
  else session.set({ me, codes, expired: false });
}

/** Call when somebody has signed in again; gives what ends it. */
export function onRenewed(call: () => void): () => void {
  let over = session.get().expired;
  return session.listen(({ me, expired }) => {
    if (over && me && !expired) call();
    over = expired;
  });
}

export async function loadSession(): Promise<void> {
  const turn = turns;
  const answer = await raw("/session", { signal: AbortSignal.timeout(ANSWER_MS) });
  if (turn === turns) await answered(answer);
}

export async function signIn(by: Shown): Promise<void> {
  const answer = await raw("/session", {
    method: "POST",
    body: JSON.stringify(by),
    headers: { "Content-Type": "application/json" },
  });
  if (answer.ok) turned();
  await answered(answer);
}

/** Throws `ApiError`; what is told after it must be shown: the token may still be good. */
export async function signOut(): Promise<string | null> {
  const answer = await raw("/session", { method: "DELETE" });
  if (!answer.ok) throw await errorOf(answer);
  turned();
  const told = answer.status === 204 ? null : ((await answer.json()) as { detail: string }).detail;
  session.set({ ...session.get(), me: null, expired: false });
  return told;
}

/** Somebody else is signed in now, or nobody: other tabs are to see it too. */
function turned(): void {
  turns += 1;
  tabs.postMessage("");
}

export function expire(): void {
  const now = session.get();
  if (now.me) session.set({ ...now, expired: true });
}

/** The code in an address that `headrace local up` printed; it is taken out of the address. */
export function takeCode(): string | null {
  const found = /^#code=([\w-]+)$/.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return found[1] ?? null;
}
