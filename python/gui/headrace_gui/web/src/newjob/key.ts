// Names for what is to be made once.

/** A name for one submit: a repeat of it makes no second job. */
export function newKey(): string {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return [...random].map((each) => each.toString(16).padStart(2, "0")).join("");
}
