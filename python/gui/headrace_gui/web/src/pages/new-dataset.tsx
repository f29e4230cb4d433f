// A new dataset from files: named, uploaded and sealed in one go.
import { useState } from "preact/hooks";
import "./new-dataset.css";
import { useAction } from "../action";
import { api } from "../api";
import { CheckField, Field, SelectField, TextArea, TextField } from "../components/form";
import { Notice } from "../components/notice";
import {
  CATEGORIES,
  type Category,
  categoryWord,
  type Domain,
  parsedDomain,
} from "../datasets/domain";
import { Drop } from "../datasets/drop";
import { type Picked, withoutTop } from "../datasets/picked";
import { upload } from "../datasets/upload";
import { bytes, count } from "../format";
import { Link, navigate } from "../router";

const SHOWN = 6;
const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?$/;

/** A name that the API takes, made of a folder's. */
export function nameOf(folder: string): string {
  const plain = folder.toLowerCase().replace(/[^a-z0-9._-]+/g, "-");
  return plain.slice(0, 128).replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "");
}

export default function NewDatasetPage() {
  const [name, setName] = useState("");
  const [category, setCategory] = useState<Category | "">("");
  const [fabric, setFabric] = useState("");
  const [description, setDescription] = useState("");
  const [expires, setExpires] = useState("");
  const [format, setFormat] = useState("");
  const [domain, setDomain] = useState("");
  const [seal, setSeal] = useState(true);
  const [files, setFiles] = useState<Picked[]>([]);
  const [tried, setTried] = useState(false);

  const problems = {
    name: !name
      ? "A dataset needs a name."
      : NAME.test(name)
        ? null
        : "Lower-case letters, digits and . _ - in between, at most 128.",
    category: category ? null : "Say what the data is for.",
  };
  const create = useAction(async () => {
    setTried(true);
    if (problems.name || !category) return;
    const covers: Domain = { ...parsedDomain(domain) };
    if (fabric.trim()) covers.HYDROFABRIC_DATA_ID = fabric.trim();
    const made = await api.post("/api/v1/datasets", {
      body: {
        name,
        category,
        domain: covers,
        ...(format.trim() ? { format: format.trim() } : {}),
        ...(description.trim() ? { description: description.trim() } : {}),
        ...(expires.trim() ? { expires_in: expires.trim() } : {}),
      },
    });
    if (files.length) upload(made.id, files, seal);
    navigate(`/datasets/${made.id}`);
  });
  const take = (picked: Picked[]) => {
    const { files: found, folder } = withoutTop(picked);
    const [first] = found;
    if (!name && folder) setName(nameOf(folder));
    else if (!name && first && found.length === 1) {
      setName(nameOf(first.path.replace(/\.[^.]*$/, "")));
    }
    const coming = new Set(found.map(({ path }) => path));
    setFiles((old) => [...old.filter(({ path }) => !coming.has(path)), ...found]);
  };
  return (
    <>
      <p class="fine">
        <Link to="/datasets">Datasets</Link> / new
      </p>
      <h1>New dataset</h1>
      <form
        class="form new-dataset"
        onSubmit={(event) => {
          event.preventDefault();
          void create.run();
        }}
      >
        <Drop onFiles={take} />
        <Chosen files={files} onClear={() => setFiles([])} />
        <div class="new-dataset-two">
          <TextField
            label="Name"
            value={name}
            onValue={setName}
            spellcheck={false}
            autoCapitalize="off"
            problem={tried ? problems.name : null}
          />
          <SelectField
            label="Category"
            value={category}
            onValue={(value) => setCategory(value as Category | "")}
            options={[
              ["", "Choose …"],
              ...CATEGORIES.map((each) => [each, categoryWord(each)] as const),
            ]}
            problem={tried ? problems.category : null}
          />
        </div>
        <TextField
          label="Hydrofabric (optional)"
          value={fabric}
          onValue={setFabric}
          help="What files can't tell: the name that your group gives to the hydrofabric, as drb. Times, catchments and gauges are read from the files."
        />
        <TextArea
          label="Description (optional)"
          value={description}
          onValue={setDescription}
          rows={2}
        />
        <details>
          <summary>More</summary>
          <div class="form">
            <TextField
              label="Format"
              value={format}
              onValue={setFormat}
              help="Found out by itself; say it to have it checked, as TIMESERIES_CSV."
            />
            <TextField
              label="Expires in"
              value={expires}
              onValue={setExpires}
              help="As 2d or 6h: it is deleted for good at that time. Empty: it is kept."
            />
            <Field
              label="Domain, as JSON"
              help={
                <>
                  As <code>{'{"DATA_ID": "aorc-2015"}'}</code>; what contradicts the files is
                  refused at the seal.
                </>
              }
            >
              {(ids) => (
                <textarea
                  {...ids}
                  rows={3}
                  spellcheck={false}
                  value={domain}
                  onInput={(event) => setDomain(event.currentTarget.value)}
                />
              )}
            </Field>
          </div>
        </details>
        <CheckField
          label="Seal it when all files are there (it never changes then, and jobs find it)"
          checked={seal}
          onValue={setSeal}
        />
        {create.state.kind === "failed" && (
          <Notice error={create.state.error} onClose={create.reset} />
        )}
        <div>
          <button
            type="submit"
            class="button primary"
            aria-disabled={create.state.kind === "pending"}
          >
            {create.state.kind === "pending" && <span class="spinner" aria-hidden="true" />}
            {files.length ? "Create and upload" : "Create without files"}
          </button>
        </div>
      </form>
    </>
  );
}

function Chosen({ files, onClear }: { files: readonly Picked[]; onClear: () => void }) {
  if (!files.length) return null;
  const size = files.reduce((total, { file }) => total + file.size, 0);
  return (
    <div class="panel new-dataset-files">
      <div class="spread">
        <strong>
          {count(files.length, "file")}, {bytes(size)}
        </strong>
        <button type="button" class="button" onClick={onClear}>
          Choose anew
        </button>
      </div>
      <ul>
        {files.slice(0, SHOWN).map(({ path, file }) => (
          <li key={path} class="spread fine">
            <span>{path}</span>
            <span class="num">{bytes(file.size)}</span>
          </li>
        ))}
        {files.length > SHOWN && (
          <li class="fine">and {(files.length - SHOWN).toLocaleString()} more</li>
        )}
      </ul>
    </div>
  );
}
