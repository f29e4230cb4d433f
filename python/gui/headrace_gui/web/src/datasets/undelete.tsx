// What can be done to a deleted dataset: it comes back, or goes for good.
import { useState } from "preact/hooks";
import { ActionButton } from "../action";
import { api } from "../api";
import { Confirm } from "../components/confirm";
import { bytes, dateTime } from "../format";
import type { Dataset } from "./domain";

export function Undelete({ dataset, onDone }: { dataset: Dataset; onDone: () => void }) {
  const [asks, setAsks] = useState(false);
  const path = { dataset: dataset.id };
  const until = dataset.purged ? `Until ${dateTime(dataset.purged)} it can be brought back` : "";
  return (
    <span class="datasets-back">
      <ActionButton
        pending="Bringing back"
        title={until}
        work={async () => {
          await api.post("/api/v1/datasets/{dataset}:undelete", { path, body: {} });
          onDone();
        }}
      >
        Bring back
      </ActionButton>
      <button type="button" class="button danger" onClick={() => setAsks(true)}>
        Purge
      </button>
      {asks && (
        <Confirm
          title={`Purge ${dataset.title}`}
          verb="Delete for good"
          pending="Deleting"
          danger
          onClose={() => setAsks(false)}
          work={async () => {
            await api.delete("/api/v1/datasets/{dataset}", { path, query: { now: "true" } });
            onDone();
          }}
        >
          <p>
            Its {bytes(dataset.size_bytes)} make room at once, and it never comes back. {until}{" "}
            otherwise.
          </p>
        </Confirm>
      )}
    </span>
  );
}
