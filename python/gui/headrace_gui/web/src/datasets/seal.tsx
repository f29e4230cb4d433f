// Sealing: for good, and with what the files can't tell.
import { useState } from "preact/hooks";
import { api } from "../api";
import { Confirm } from "../components/confirm";
import { TextArea, TextField } from "../components/form";
import { toast } from "../components/toasts";
import { type Dataset, parsedDomain } from "./domain";

interface SealProps {
  dataset: Dataset;
  onChange: (dataset: Dataset) => void;
  onClose: () => void;
}

export function SealDialog({ dataset, onChange, onClose }: SealProps) {
  const declared = Object.keys(dataset.domain).length ? JSON.stringify(dataset.domain) : "";
  const [domain, setDomain] = useState(declared);
  const [format, setFormat] = useState("");
  return (
    <Confirm
      title={`Seal ${dataset.title}`}
      verb="Seal it"
      pending="Sealing"
      onClose={onClose}
      work={async () => {
        const { notes, ...sealed } = await api.post("/api/v1/datasets/{dataset}:seal", {
          path: { dataset: dataset.id },
          body: {
            ...(domain.trim() === declared ? {} : { domain: parsedDomain(domain) }),
            ...(format.trim() ? { format: format.trim() } : {}),
          },
        });
        onChange(sealed);
        toast(`${dataset.title} is sealed.${notes.length ? ` ${notes.join(" ")}` : ""}`);
      }}
    >
      <p>
        Its files are read for what they cover. Then it never changes any more, and jobs find it; a
        change is a new version.
      </p>
      <TextArea
        label="What the files can't tell, as JSON"
        help={'As {"HYDROFABRIC_DATA_ID": "drb"}. Empty: nothing more.'}
        rows={3}
        spellcheck={false}
        value={domain}
        onValue={setDomain}
      />
      <TextField
        label="Format"
        help="Found out by itself; say it to have it checked."
        value={format}
        onValue={setFormat}
      />
    </Confirm>
  );
}
