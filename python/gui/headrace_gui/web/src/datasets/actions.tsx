// What can be done to a whole dataset.
import { useState } from "preact/hooks";
import { ActionButton, useAction } from "../action";
import { api } from "../api";
import { Dialog } from "../components/dialog";
import { TextArea, TextField } from "../components/form";
import { Notice } from "../components/notice";
import { toast } from "../components/toasts";
import { navigate } from "../router";
import type { Dataset } from "./domain";
import { DownloadAll } from "./download";
import type { May } from "./may";
import { SealDialog } from "./seal";

interface ActionsProps {
  dataset: Dataset;
  may: May;
  onChange: (dataset: Dataset) => void;
  onRead: () => void;
}

const ONE = "/api/v1/datasets/{dataset}";

export function Actions({ dataset, may, onChange, onRead }: ActionsProps) {
  const [edits, setEdits] = useState(false);
  const [seals, setSeals] = useState(false);
  return (
    <div class="row">
      {dataset.state === "OPEN" && may.write && !dataset.partial && (
        <button type="button" class="button primary" onClick={() => setSeals(true)}>
          Seal
        </button>
      )}
      {dataset.item_count > 0 && <DownloadAll dataset={dataset} />}
      {dataset.state === "SEALED" && may.write && (
        <ActionButton
          pending="Making it"
          work={async () => {
            const { name, category, description } = dataset;
            const fabric = dataset.domain.HYDROFABRIC_DATA_ID; // files don't tell it
            const domain = fabric === undefined ? {} : { HYDROFABRIC_DATA_ID: fabric };
            const body = { name, category, description, domain, version: "new" as const };
            navigate(`/datasets/${(await api.post("/api/v1/datasets", { body })).id}`);
          }}
        >
          New version
        </ActionButton>
      )}
      {may.write && (
        <button type="button" class="button" onClick={() => setEdits(true)}>
          Edit
        </button>
      )}
      {may.own && <Delete dataset={dataset} />}
      {seals && <SealDialog {...{ dataset, onChange }} onClose={() => setSeals(false)} />}
      {edits && (
        <Edit
          {...{ dataset, may }}
          onClose={() => setEdits(false)}
          onChange={(changed) => {
            setEdits(false);
            onChange(changed);
            onRead();
          }}
        />
      )}
    </div>
  );
}

/** It can be taken back for some days: that is offered instead of a question before. */
function Delete({ dataset }: { dataset: Dataset }) {
  const path = { dataset: dataset.id };
  const back = async () => {
    try {
      await api.post(`${ONE}:undelete`, { path, body: {} });
      navigate(`/datasets/${dataset.id}`);
    } catch (error) {
      toast(`${dataset.title} could not be brought back: ${(error as Error).message}`, {
        bad: true,
      });
    }
  };
  return (
    <ActionButton
      kind="danger"
      pending="Deleting"
      work={async () => {
        await api.delete(ONE, { path });
        navigate("/datasets");
        toast(`${dataset.title} is deleted.`, {
          offer: { label: "Undo", work: () => void back() },
        });
      }}
    >
      Delete
    </ActionButton>
  );
}

interface EditProps {
  dataset: Dataset;
  may: May;
  onClose: () => void;
  onChange: (dataset: Dataset) => void;
}

function Edit({ dataset, may, onClose, onChange }: EditProps) {
  const [name, setName] = useState(dataset.name);
  const [description, setDescription] = useState(dataset.description);
  const [tags, setTags] = useState(dataset.tags.join(", "));
  const [expires, setExpires] = useState("");
  const save = useAction(async () => {
    const wanted = tags.split(",").map((tag) => tag.trim());
    const body = {
      description,
      tags: wanted.filter(Boolean),
      ...(name.trim() !== dataset.name ? { name: name.trim() } : {}),
      ...(expires.trim()
        ? { expires_in: expires.trim() === "never" ? null : expires.trim() }
        : {}),
    };
    onChange(await api.patch(ONE, { path: { dataset: dataset.id }, body }));
  });
  return (
    <Dialog title={`Edit ${dataset.title}`} onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void save.run();
        }}
      >
        {may.own && (
          <TextField
            label="Name"
            help="Of all its versions; their ids and numbers stay."
            value={name}
            onValue={setName}
          />
        )}
        <TextArea label="Description" rows={3} value={description} onValue={setDescription} />
        <TextField label="Tags" help="With commas between them." value={tags} onValue={setTags} />
        {may.own && (
          <TextField
            label="Expires in"
            help="As 2d or 6h from now, or never. Empty: it stays as it is."
            value={expires}
            onValue={setExpires}
          />
        )}
        {save.state.kind === "failed" && <Notice error={save.state.error} onClose={save.reset} />}
        <div class="row">
          <button
            type="submit"
            class="button primary"
            aria-disabled={save.state.kind === "pending"}
          >
            Save
          </button>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
