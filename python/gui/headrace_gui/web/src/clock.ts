// The time, for "4 min ago": one timer for all that show it.
import { Store, useStore } from "./store";

const now = new Store(Date.now());
setInterval(() => {
  if (!document.hidden) now.set(Date.now());
}, 5_000);
document.addEventListener("visibilitychange", () => now.set(Date.now()));

export function useNow(): number {
  return useStore(now);
}
