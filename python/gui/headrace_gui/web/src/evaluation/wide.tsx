// A table that may be wider than the page: it scrolls by itself, by keys too.
import type { ComponentChildren } from "preact";

export function Wide({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="evaluation-wide" role="group" aria-label={label} tabIndex={0}>
      <table class="evaluation-table">
        <caption class="visually-hidden">{label}</caption>
        {children}
      </table>
    </div>
  );
}
