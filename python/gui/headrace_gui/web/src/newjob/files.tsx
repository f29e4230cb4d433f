// Small files that travel with a job: picked or dropped here, named by `files` in its text.
import { useState } from "preact/hooks";
import { useAction } from "../action";
import { ApiError } from "../api";
import { Notice } from "../components/notice";
import { bytes } from "../format";
import { Link } from "../router";
import { type Draft, FILES_BYTES, readFile } from "./draft";

interface FilesProps {
  draft: Draft;
  names: readonly string[];
  problem: string | null;
  onChange: (files: Draft["files"], names: string[]) => void;
}

export function Files({ draft, names, problem, onChange }: FilesProps) {
  const [over, setOver] = useState(false);
  const { state, run, reset } = useAction(async (picked: FileList | null | undefined) => {
    const read = await Promise.all([...(picked ?? [])].map(readFile));
    // A file `lib/tables.py` of the text is picked as `tables.py`.
    const named = read.map((file) => ({
      ...file,
      name: names.find((name) => name.split("/").pop() === file.name) ?? file.name,
    }));
    const files = {
      ...draft.files,
      ...Object.fromEntries(named.map((each) => [each.name, each])),
    };
    const sum = Object.values(files).reduce((total, each) => total + each.size, 0);
    if (sum > FILES_BYTES) {
      throw new ApiError(
        0,
        "TOO_LARGE",
        `The files come to ${bytes(sum)}, and 4 MiB in all travel with a job.`,
        "make a dataset of them, and name that as an input",
      );
    }
    onChange(files, [...new Set([...names, ...named.map((each) => each.name)])]);
  });
  const drop = (name: string) => {
    const { [name]: _, ...rest } = draft.files;
    onChange(
      rest,
      names.filter((each) => each !== name),
    );
  };
  return (
    <section
      class={`new-files ${over ? "over" : ""}`}
      aria-label="Files"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void run(event.dataTransfer?.files);
      }}
    >
      <h3>Files that travel with it</h3>
      <p class="help">
        Scripts and small tables, 1 MiB each and 4 MiB in all; they lie in the working folder.
        Larger data is a <Link to="/datasets/new">dataset</Link>, which an input names.
      </p>
      {names.length > 0 && (
        <ul>
          {names.map((name) => (
            <li key={name} class="spread">
              <span>
                <span class="mono">{name}</span>{" "}
                {draft.files[name] ? (
                  <span class="fine">{bytes(draft.files[name].size)}</span>
                ) : (
                  <span class="problem">not picked yet: pick or drop it here</span>
                )}
              </span>
              <button type="button" class="button" onClick={() => drop(name)}>
                Leave out<span class="visually-hidden"> {name}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {problem && <p class="problem">{problem}</p>}
      <label class="button new-pick">
        Pick files, or drop them here
        <input
          type="file"
          multiple
          class="visually-hidden"
          onChange={(event) => {
            void run(event.currentTarget.files).then(() => undefined);
          }}
        />
      </label>
      {state.kind === "failed" && <Notice error={state.error} onClose={reset} />}
    </section>
  );
}
