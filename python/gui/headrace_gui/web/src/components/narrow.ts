// Whether the screen is as narrow as a phone's.
import { Store, useStore } from "../store";

const asked = matchMedia("(max-width: 44rem)");
const narrow = new Store(asked.matches);
asked.addEventListener("change", () => narrow.set(asked.matches));

export function useNarrow(): boolean {
  return useStore(narrow);
}
