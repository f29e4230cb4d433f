// What is around each page: navigation, how live it is, who is signed in.
import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ActionButton } from "./action";
import { useNow } from "./clock";
import { Icon, type IconName } from "./components/icons";
import { Notice } from "./components/notice";
import { toast } from "./components/toasts";
import { useFetched } from "./fetched";
import { clock, duration } from "./format";
import { liveState, reconnect } from "./live";
import mark from "./mark.svg";
import { Link, matched, navigate, usePlace } from "./router";
import { HOME, type PageProps, ROUTES, type Route } from "./routes";
import { type Me, signOut } from "./session";
import { useStore } from "./store";
import { nextTheme, type Theme, theme } from "./theme";

export function Shell({ me }: { me: Me }) {
  const { path } = usePlace();
  const main = useRef<HTMLElement>(null);
  const [open, setOpen] = useState(false);
  const before = useRef("/");
  useEffect(() => {
    setOpen(false);
    // Who moves by keys begins at the new page, not again at the navigation. `/` only leads on.
    if (before.current !== "/") main.current?.focus();
    before.current = path;
  }, [path]);
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <header class={`side ${open ? "open" : ""}`}>
        <div class="side-top">
          <Link to={HOME} class="brand">
            <img src={mark} alt="" />
            Headrace
          </Link>
          <button
            type="button"
            class="button icon menu"
            aria-expanded={open}
            aria-label="Menu"
            onClick={() => setOpen(!open)}
          >
            <Icon name={open ? "close" : "menu"} />
          </button>
        </div>
        <Navigation path={path} role={me.role} />
        <div class="side-foot">
          <ThemeSwitch />
          <p class="who">
            {me.name} <span class="quiet">· {me.role.toLowerCase()}</span>
          </p>
          <ActionButton
            kind="row"
            icon="out"
            pending="Signing out"
            work={async () => {
              const told = await signOut();
              if (told) toast(told, { bad: true });
            }}
          >
            Sign out
          </ActionButton>
        </div>
      </header>
      <Staleness />
      <main id="main" class="main" ref={main} tabIndex={-1}>
        <Page path={path} />
      </main>
    </div>
  );
}

function Navigation({ path, role }: { path: string; role: Me["role"] }) {
  return (
    <nav class="nav" aria-label="Pages">
      <ul>
        {ROUTES.map(
          ({ nav, path: to }) =>
            nav &&
            (!nav.only || nav.only === role) && (
              <li key={to}>
                <Link to={to} {...(isBelow(path, to) ? { "aria-current": "page" as const } : {})}>
                  <Icon name={nav.icon} />
                  {nav.label}
                </Link>
              </li>
            ),
        )}
      </ul>
    </nav>
  );
}

function isBelow(path: string, place: string): boolean {
  // The longest row counts: `/jobs/new` is not below `/jobs` where it has a row of its own.
  const rows = ROUTES.filter(({ nav, path: to }) => nav && `${path}/`.startsWith(`${to}/`));
  return (
    rows.every((each) => each.path.length <= place.length) && `${path}/`.startsWith(`${place}/`)
  );
}

const THEMES: Record<Theme, { label: string; icon: IconName }> = {
  system: { label: "As the system", icon: "auto" },
  light: { label: "Light", icon: "sun" },
  dark: { label: "Dark", icon: "moon" },
};

function ThemeSwitch() {
  const { label, icon } = THEMES[useStore(theme)];
  return (
    <button type="button" class="button row" onClick={nextTheme} title="Colours: change">
      <Icon name={icon} />
      <span>
        <span class="visually-hidden">Colours: </span>
        {label}
      </span>
    </button>
  );
}

/** Says since when what is shown may be old. */
function Staleness() {
  const state = useStore(liveState);
  const now = useNow();
  if (state.kind !== "stale") return null;
  const seconds = Math.max(0, (now - state.since) / 1000);
  return (
    <div class="banner" role="status">
      <Icon name="warning" />
      <span>
        Not live since {clock(new Date(state.since))}
        {seconds >= 10 && ` (${duration(seconds)})`}: connecting again.
      </span>
      <button type="button" class="button" onClick={reconnect}>
        Try now
      </button>
    </div>
  );
}

function Page({ path }: { path: string }) {
  useEffect(() => {
    if (path === "/") navigate(HOME, { replace: true });
  }, [path]);
  if (path === "/") return null;
  for (const route of ROUTES) {
    const params = matched(route.path, path);
    if (params) return <Loaded key={route.path} route={route} params={params} />;
  }
  document.title = "Not found · Headrace";
  return (
    <div>
      <h1>There is no such page</h1>
      <p>
        Nothing is at <code>{path}</code>. <Link to={HOME}>To the jobs</Link>
      </p>
    </div>
  );
}

const loaded = new Map<string, ComponentType<PageProps>>();

function Loaded({ route, params }: { route: Route; params: Record<string, string> }) {
  useEffect(() => {
    document.title = `${route.title} · Headrace`;
  }, [route]);
  const fetched = useFetched(loaded.has(route.path) ? null : route.path, async () => {
    const { default: page } = await route.load();
    loaded.set(route.path, page);
    return true;
  });
  const Shown = loaded.get(route.path);
  if (Shown) return <Shown params={params} />;
  // A newer GUI was installed while this page was open: its files have other names.
  if (fetched.error) return <Notice error={fetched.error} onRetry={() => location.reload()} />;
  return <div class="loading" aria-busy="true" />;
}
