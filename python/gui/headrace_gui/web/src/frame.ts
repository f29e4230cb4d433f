// Drawing no more often than is seen.

/** Where the page is hidden no frame comes, and a timer is enough. */
const HIDDEN_MS = 1_000;

/** Have something done once at the next frame; the second function gives it up. */
export function onceAFrame(work: () => void): readonly [() => void, () => void] {
  let frame = 0;
  let timer: number | undefined;
  const never = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    frame = 0;
    timer = undefined;
  };
  const run = () => {
    never();
    work();
  };
  const soon = () => {
    if (document.hidden) timer ??= setTimeout(run, HIDDEN_MS);
    else frame ||= requestAnimationFrame(run);
  };
  return [soon, never];
}
