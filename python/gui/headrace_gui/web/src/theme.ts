// Light or dark: what the system says, or what the user chose in this browser.
import { Store } from "./store";

export type Theme = "system" | "light" | "dark";

const KEY = "headrace-theme";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

export const theme = new Store<Theme>("system");
/** Whether dark colours are shown now, for what draws by itself (plots, maps). */
export const dark = new Store(systemIsDark.matches);

export function startTheme(): void {
  const kept = localStorage.getItem(KEY);
  show(kept === "light" || kept === "dark" ? kept : "system");
  systemIsDark.addEventListener("change", () => show(theme.get()));
}

export function nextTheme(): void {
  const next = NEXT[theme.get()];
  localStorage.setItem(KEY, next);
  show(next);
}

function show(chosen: Theme): void {
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  theme.set(chosen);
  dark.set(chosen === "system" ? systemIsDark.matches : chosen === "dark");
}

/** A colour of the style sheet (`--accent`) as a canvas takes it. */
export function colorOf(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
