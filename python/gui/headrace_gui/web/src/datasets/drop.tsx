// Where files are dropped or chosen, folders too.
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import "./uploads.css";
import { Icon } from "../components/icons";
import { isLitter, ofDrop, ofInput, type Picked } from "./picked";

interface DropProps {
  onFiles: (files: Picked[]) => void;
  children?: ComponentChildren;
}

export function Drop({ onFiles, children }: DropProps) {
  const [over, setOver] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (picked: Picked[]) => {
    const wanted = picked.filter((each) => !isLitter(each));
    if (wanted.length) onFiles(wanted);
  };
  const chosen = (input: HTMLInputElement) => {
    take(ofInput(input.files ?? []));
    input.value = ""; // the same files may be chosen again
  };
  return (
    <section
      class={`drop ${over ? "over" : ""}`}
      aria-label="Files to upload"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        if (event.dataTransfer) void ofDrop(event.dataTransfer).then(take);
      }}
    >
      <Icon name="upload" />
      <p>{children ?? "Drop files or folders here, or choose them."}</p>
      <div class="row">
        <button type="button" class="button" onClick={() => files.current?.click()}>
          Choose files
        </button>
        <button type="button" class="button" onClick={() => folder.current?.click()}>
          Choose a folder
        </button>
      </div>
      <input
        ref={files}
        type="file"
        multiple
        hidden
        data-kind="files"
        onChange={(event) => chosen(event.currentTarget)}
      />
      <input
        ref={folder}
        type="file"
        multiple
        hidden
        data-kind="folder"
        {...{ webkitdirectory: true }}
        onChange={(event) => chosen(event.currentTarget)}
      />
    </section>
  );
}
