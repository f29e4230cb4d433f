// How much room the screen has.
import { Store, useStore } from "../store";

function matches(query: string): Store<boolean> {
  const asked = matchMedia(query);
  const store = new Store(asked.matches);
  asked.addEventListener("change", () => store.set(asked.matches));
  return store;
}

const narrow = matches("(max-width: 44rem)");
const wide = matches("(min-width: 90rem)");

/** Whether the screen is as narrow as a phone's. */
export function useNarrow(): boolean {
  return useStore(narrow);
}

/** Whether there is room for what is good to have. */
export function useWide(): boolean {
  return useStore(wide);
}
