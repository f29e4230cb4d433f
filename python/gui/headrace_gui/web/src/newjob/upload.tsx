// An input that is a path on somebody's disk: its files become a dataset, which the input names.
import { useAction } from "../action";
import { ApiError, addressOf, api, send } from "../api";
import { Notice } from "../components/notice";
import { sha256Of } from "../datasets/hashing";
import { bytes } from "../format";
import { Link } from "../router";
import { newKey } from "./key";

const MOST_BYTES = 32 << 20;

interface PathUploadProps {
  input: string;
  onDone: (requirement: object) => void;
}

export function PathUpload({ input, onDone }: PathUploadProps) {
  const { state, run, reset } = useAction(async (picked: FileList | null) => {
    if (picked?.length) onDone(await uploaded(input, [...picked]));
  });
  const busy = state.kind === "pending";
  return (
    <div class="notice">
      <div>
        <p>
          A path means something on its own machine only. Pick its files: they become a dataset,
          and the input asks for that. More than {bytes(MOST_BYTES)}, or a folder:{" "}
          <Link to="/datasets/new">make a dataset</Link> and name it by its DATA_ID.
        </p>
        <label class={`button new-pick ${busy ? "busy" : ""}`}>
          {busy ? "Uploading …" : `Pick the files of ${input}`}
          <input
            type="file"
            multiple
            disabled={busy}
            class="visually-hidden"
            onChange={(event) => void run(event.currentTarget.files)}
          />
        </label>
        {state.kind === "failed" && <Notice error={state.error} onClose={reset} />}
      </div>
    </div>
  );
}

async function uploaded(input: string, files: File[]): Promise<object> {
  const sum = files.reduce((total, each) => total + each.size, 0);
  if (sum > MOST_BYTES) {
    throw new ApiError(
      0,
      "TOO_LARGE",
      `These files come to ${bytes(sum)}, and up to ${bytes(MOST_BYTES)} are uploaded here.`,
      "upload them on the page of the datasets, which resumes where it was broken off",
    );
  }
  const name = `${input.toLowerCase().replace(/[^a-z0-9.-]+/g, "-")}-${newKey().slice(0, 8)}`;
  const domain = { DATA_ID: name };
  await api.post("/api/v1/datasets", { body: { name, category: "CONFIG", domain } });
  for (const file of files) {
    await send(
      addressOf("/api/v1/datasets/{dataset}/items/{path}", { dataset: name, path: file.name }),
      { method: "PUT", body: file, headers: { "X-Content-SHA256": await sha256Of(file) } },
    );
  }
  await api.post("/api/v1/datasets/{dataset}:seal", { path: { dataset: name }, body: {} });
  return { category: "CONFIG", domain };
}
