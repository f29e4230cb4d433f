// The YAML of a job: a plain text area with numbers of lines, wrong ones marked.
import { useRef } from "preact/hooks";
import type { Wrong } from "./text";

interface EditorProps {
  text: string;
  onText: (text: string) => void;
  wrong: readonly Wrong[];
}

const LINE_REM = 1.375;

export function Editor({ text, onText, wrong }: EditorProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLPreElement>(null);
  const lines = text.split("\n");
  const marked = new Map(wrong.flatMap((each) => (each.line ? [[each.line, each.reason]] : [])));
  const go = (line: number) => {
    const at = area.current;
    if (!at) return;
    const from = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    at.focus();
    at.setSelectionRange(from, from + (lines[line - 1]?.length ?? 0));
  };
  return (
    <section class="panel new-yaml" aria-labelledby="yaml">
      <h2 id="yaml">As a job file</h2>
      <div class="new-editor">
        <pre ref={gutter} class="new-gutter" aria-hidden="true">
          {lines.map((_, at) => (
            <span key={at} class={marked.has(at + 1) ? "wrong" : ""} title={marked.get(at + 1)}>
              {at + 1}
              {"\n"}
            </span>
          ))}
        </pre>
        <textarea
          ref={area}
          aria-label="The job file as YAML"
          aria-invalid={wrong.length > 0}
          aria-describedby="yaml-wrong"
          spellcheck={false}
          autoCapitalize="off"
          wrap="off"
          value={text}
          style={{ height: `${Math.min(36, Math.max(12, lines.length + 2)) * LINE_REM}rem` }}
          onInput={(event) => onText(event.currentTarget.value)}
          onScroll={(event) => {
            if (gutter.current) gutter.current.scrollTop = event.currentTarget.scrollTop;
          }}
        />
      </div>
      <div id="yaml-wrong" role="status">
        {wrong.length > 0 && (
          <ul class="new-wrong">
            {wrong.map((each) => (
              <li key={each.path + each.reason}>
                {each.line !== null && (
                  <button type="button" class="button" onClick={() => go(each.line ?? 1)}>
                    Line {each.line}
                  </button>
                )}
                <span>
                  {each.path && <b>{each.path}: </b>}
                  {each.reason}
                </span>
              </li>
            ))}
          </ul>
        )}
      </div>
      <p class="fine">
        What you change here, the form follows, and the other way round. The form keeps comments,
        but those inside of a value that it changes are lost. The file is one that{" "}
        <code>headrace exec from_file</code> runs.
      </p>
    </section>
  );
}
