// The parts of a page: each has an address (`?tab=logs`), so that it can be sent or opened aside.
import { useEffect, useRef } from "preact/hooks";
import { Link, usePlace } from "../router";
import "./tabs.css";

export interface Tab {
  key: string;
  label: string;
}

/** Which tab the address names; the first where it names none that there is. */
export function useTab(tabs: readonly Tab[]): string {
  const asked = usePlace().query.get("tab");
  return (tabs.find((each) => each.key === asked) ?? tabs[0])?.key ?? "";
}

export function Tabs({ label, tabs }: { label: string; tabs: readonly Tab[] }) {
  const { path } = usePlace();
  const shown = useTab(tabs);
  const list = useRef<HTMLElement>(null);
  useEffect(() => {
    const here = list.current?.querySelector<HTMLElement>("[aria-current]");
    if (here && list.current) list.current.scrollLeft = here.offsetLeft - 48;
  }, [shown]);
  return (
    <nav class="tabs" aria-label={label} ref={list}>
      {tabs.map(({ key, label }, at) => (
        <Link
          key={key}
          to={at ? `${path}?tab=${key}` : path}
          {...(key === shown ? { "aria-current": "page" as const } : {})}
        >
          {label}
        </Link>
      ))}
    </nav>
  );
}
