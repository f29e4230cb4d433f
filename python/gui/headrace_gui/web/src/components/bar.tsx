// How much of something is taken: a bar, with the same said in words.
import "./bar.css";

interface BarProps {
  label: string;
  used: number;
  /** Without it nothing bounds it, and no bar is drawn. */
  of: number | null | undefined;
  text: string;
  /** A part of a whole, of which much is no warning. */
  calm?: boolean;
}

export function Bar({ label, used, of, text, calm }: BarProps) {
  const part = of ? used / of : of === 0 ? 1 : 0;
  return (
    <div class="bar">
      <div class="bar-words">
        <span>{label}</span>
        <span class="num">{text}</span>
      </div>
      {of !== null && of !== undefined && (
        <div
          class="bar-track"
          role="meter"
          aria-label={label}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.min(100, Math.round(part * 100))}
          aria-valuetext={text}
        >
          <div
            class={`bar-part ${calm ? "" : part >= 1 ? "full" : part >= 0.8 ? "high" : ""}`}
            style={{ width: `${Math.min(100, part * 100)}%` }}
          />
        </div>
      )}
    </div>
  );
}
