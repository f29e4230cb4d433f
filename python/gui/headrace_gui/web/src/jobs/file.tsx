// The job file as text, to copy or keep.
import { useEffect, useState } from "preact/hooks";
import { stringify } from "yaml";
import { ActionButton } from "../action";
import { Icon } from "../components/icons";
import type { Job } from "../live";

const WIDTH = 100;

/** The canonical job file, its keys in the order in which people write them. */
export function yamlOf(spec: object): string {
  const first = ["headrace", "kind", "name", "settings", "command", "image", "environment"];
  const all = Object.entries(spec);
  const known = first.flatMap((key) => all.filter(([each]) => each === key));
  const rest = all.filter(([key]) => !first.includes(key));
  return stringify(Object.fromEntries([...known, ...rest]), { lineWidth: WIDTH });
}

export default function FilePart({ job }: { job: Job }) {
  const text = yamlOf(job.spec ?? {});
  const [address, setAddress] = useState("");
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [text]);
  return (
    <section class="panel" aria-labelledby="file">
      <div class="spread">
        <h2 id="file">Job file</h2>
        <div class="row">
          <ActionButton
            icon="copy"
            pending="Copying"
            done="Copied."
            work={() => navigator.clipboard.writeText(text)}
          >
            Copy
          </ActionButton>
          <a class="button" href={address} download={`${job.name || job.id}.yaml`}>
            <Icon name="download" />
            Download
          </a>
        </div>
      </div>
      <p class="fine">As it was understood: with what was left out filled in.</p>
      <pre class="job-file" role="region" tabIndex={0} aria-label="Job file">
        {text}
      </pre>
    </section>
  );
}
