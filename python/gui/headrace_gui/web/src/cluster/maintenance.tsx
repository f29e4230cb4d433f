// Whether new work is taken, who said no and why; admins say so here.
import { useEffect, useState } from "preact/hooks";
import { api, type Schemas } from "../api";
import { Confirm } from "../components/confirm";
import { TextField } from "../components/form";
import { Notice } from "../components/notice";
import { toast } from "../components/toasts";
import { useFetched } from "../fetched";
import { count, dateTime } from "../format";

/** `told`: changes with each point of the cluster, as nothing tells of maintenance by itself. */
export function Maintenance({ admin, told }: { admin: boolean; told: string | undefined }) {
  const read = useFetched("maintenance", (signal) => api.get("/api/v1/maintenance", { signal }));
  const [asked, setAsked] = useState(false);
  const [why, setWhy] = useState("");
  useEffect(() => {
    if (told) read.again();
  }, [told]);
  const now = read.value;
  const on = now?.on ?? false;
  const change = async () => {
    await api.put("/api/v1/maintenance", { body: on ? { on: false } : { on: true, why } });
    toast(on ? "New work is taken again." : "No new work is taken from now on.");
    setWhy("");
    read.again();
  };
  return (
    <section class={`panel ${on ? "cluster-closed" : ""}`} aria-labelledby="maintenance">
      <div class="spread">
        <h2 id="maintenance">Maintenance</h2>
        {admin && now && (
          <button type="button" class="button" onClick={() => setAsked(true)}>
            {on ? "End maintenance" : "Begin maintenance"}
          </button>
        )}
      </div>
      {read.error && <Notice error={read.error} onRetry={read.again} />}
      <State now={now} />
      {asked && (
        <Confirm
          title={on ? "End maintenance?" : "Begin maintenance?"}
          verb={on ? "End maintenance" : "Begin maintenance"}
          pending="Changing"
          danger={!on}
          onClose={() => setAsked(false)}
          work={change}
        >
          {on ? (
            <p>Jobs and datasets are taken again, and jobs that wait start.</p>
          ) : (
            <>
              <p>
                No job and no dataset is taken, and nothing that waits starts. What runs is
                finished.
              </p>
              <TextField
                label="Why"
                help="Users read it when their jobs are refused."
                value={why}
                onValue={setWhy}
                autoComplete="off"
              />
            </>
          )}
        </Confirm>
      )}
    </section>
  );
}

function State({ now }: { now: Schemas["MaintenanceView"] | undefined }) {
  if (!now) return <p class="quiet">…</p>;
  if (!now.on) {
    return (
      <p>
        <span class="status good">
          <span class="shape" aria-hidden="true">
            ✓
          </span>
          New work is taken
        </span>
      </p>
    );
  }
  return (
    <p>
      <span class="status over">
        <span class="shape" aria-hidden="true">
          ‖
        </span>
        No new work is taken
      </span>{" "}
      {now.why && <>: {now.why}</>}
      <br />
      <span class="fine">
        {now.by && <>by {now.by} </>}
        {now.since && (
          <>
            since{" "}
            <time dateTime={now.since} title={now.since}>
              {dateTime(now.since)}
            </time>
          </>
        )}{" "}
        · {now.under_way ? `${count(now.under_way, "job")} still to finish` : "all is finished"}
      </span>
    </p>
  );
}
