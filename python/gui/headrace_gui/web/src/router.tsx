// Addresses by the history API: what is shown stands in the address, so that it can be sent.
import type { ComponentChildren } from "preact";
import { Store, useStore } from "./store";

export interface Place {
  path: string;
  query: URLSearchParams;
}

const here = (): Place => ({
  path: location.pathname,
  query: new URLSearchParams(location.search),
});

const place = new Store<Place>(here());
addEventListener("popstate", () => place.set(here()));

/** Where we are; the component is drawn anew when that changes. */
export function usePlace(): Place {
  return useStore(place);
}

export function navigate(to: string, how: { replace?: boolean } = {}): void {
  if (to === location.pathname + location.search) return;
  const before = location.pathname;
  if (how.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  place.set(here());
  if (location.pathname !== before) scrollTo(0, 0);
}

/** Change some parameters of the address's query; an empty one is taken away. */
export function setQuery(changes: Record<string, string>): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  navigate(location.pathname + (text ? `?${text}` : ""), { replace: true });
}

interface LinkProps {
  to: string;
  children: ComponentChildren;
  class?: string;
  title?: string;
  "aria-current"?: "page";
  "aria-label"?: string;
}

/** A link inside the GUI: it loads nothing anew, and opens a tab where the user asks for one. */
export function Link({ to, children, ...more }: LinkProps) {
  return (
    <a
      {...more}
      href={to}
      onClick={(event) => {
        if (event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        navigate(to);
      }}
    >
      {children}
    </a>
  );
}

/** The parameters of a path by its pattern (`/jobs/:job`); null where it is another. */
export function matched(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const given = path.replace(/(.)\/$/, "$1").split("/");
  if (wanted.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const value = given[at] ?? "";
    if (!part.startsWith(":")) {
      if (part !== value) return null;
    } else {
      try {
        params[part.slice(1)] = decodeURIComponent(value);
      } catch {
        return null;
      }
    }
  }
  return params;
}
