// A new job: a form and its YAML side by side, what would come of it, and the submit.
import { useEffect, useMemo, useState } from "preact/hooks";
import "./new-job.css";
import { ActionButton } from "../action";
import { type ApiError, api, type Schemas } from "../api";
import { SelectField } from "../components/form";
import { Notice } from "../components/notice";
import { toast } from "../components/toasts";
import { useFetched } from "../fetched";
import { draftOf } from "../newjob/clone";
import { asked, dropDraft, useDraft } from "../newjob/draft";
import { Editor } from "../newjob/editor";
import { type FormState, Group, SchemaField } from "../newjob/fields";
import { Files } from "../newjob/files";
import { newKey } from "../newjob/key";
import { Named } from "../newjob/named";
import { PlanPanel, usePlan } from "../newjob/plan";
import { kindsOf, type Schema, settingsOf, unwrapped } from "../newjob/schema";
import { changed, read } from "../newjob/text";
import { Link, navigate, setQuery, usePlace } from "../router";

export default function NewJobPage() {
  const from = usePlace().query.get("from") ?? "";
  const [draft, keep] = useDraft();
  const schema = useFetched("schema", async (signal) => {
    const found = await api.get("/api/v1/schemas/job.json", { signal });
    return found as Schema;
  });
  const ready = schema.value;
  const wanted = ready && from && draft.from !== from ? from : null;
  const source = useFetched(wanted, (signal) => draftOf(from, ready ?? {}, signal));
  useEffect(() => {
    if (source.value && wanted) keep(source.value);
  }, [source.value]);
  const error: ApiError | null = schema.error ?? source.error;
  return (
    <>
      <div class="spread">
        <h1>New job</h1>
        <Link to="/new/ngen">Build a run of NextGen on a map</Link>
      </div>
      {error && <Notice error={error} onRetry={schema.error ? schema.again : source.again} />}
      {from && draft.from === from && (
        <p class="quiet">
          With what <Link to={`/jobs/${from}`}>{from}</Link> was asked for; what follows from its
          kind by itself is left out.
        </p>
      )}
      {ready && !wanted ? (
        <Build schema={ready} />
      ) : (
        !error && <div class="loading new-room" aria-busy="true" />
      )}
    </>
  );
}

function Build({ schema }: { schema: Schema }) {
  const [draft, keep] = useDraft();
  const now = useMemo(() => read(draft.text), [draft.text]);
  const planned = usePlan(draft, now);
  const wrong = now.wrong.length ? now.wrong : (planned.value?.wrong ?? []);
  // While the YAML is none, the form shows what it last was.
  const [shown, setShown] = useState(now.job ?? {});
  useEffect(() => {
    if (now.job) setShown(now.job);
  }, [now.job]);
  const form: FormState = {
    job: now.job ?? shown,
    wrong,
    set: (path, value) => keep((it) => ({ ...it, text: changed(it.text, path, value) })),
  };
  const key = useMemo(newKey, [draft.text]);
  const submit = async () => {
    const body = asked(now.job ?? {}, draft.files) as Schemas["JobFile"];
    const headers = { "Idempotency-Key": key };
    const made = (await api.post("/api/v1/jobs", { body, headers })) as Schemas["AcceptedView"];
    dropDraft();
    toast(`${made.name} is submitted.`);
    navigate(`/jobs/${made.id}`);
  };
  const anew = () => {
    const before = draft;
    dropDraft();
    setQuery({ from: "" });
    toast("The form is as it was at first.", {
      offer: { label: "Take it back", work: () => keep({ ...before, from: "" }) },
    });
  };
  const bad = now.wrong.length > 0;
  return (
    <div class="new-columns">
      <fieldset class="new-form" disabled={bad}>
        <legend class="visually-hidden">The job</legend>
        {bad && (
          <div class="notice bad" role="status">
            <p>The job file is no YAML at the moment. The form waits until it is.</p>
          </div>
        )}
        <Sections schema={schema} form={form} />
      </fieldset>
      <div class="new-side">
        <PlanPanel planned={planned} />
        <div class="row">
          <ActionButton
            kind="primary"
            pending="Submitting"
            disabled={bad || (!planned.stale && planned.value?.plan === null)}
            work={submit}
          >
            Submit
          </ActionButton>
          <button type="button" class="button" onClick={anew}>
            Start anew
          </button>
        </div>
        <Editor
          text={draft.text}
          wrong={planned.stale && !bad ? [] : wrong}
          onText={(text) => keep((it) => ({ ...it, text }))}
        />
      </div>
    </div>
  );
}

const MORE = [
  ...["priority", "image", "environment", "env", "secrets", "parallel", "retry", "after"],
  ...["start_not_before", "deadline", "array", "checkpoint", "progress"],
];

function Sections({ schema, form }: { schema: Schema; form: FormState }) {
  const [draft, keep] = useDraft();
  const kind = typeof form.job.kind === "string" ? form.job.kind : "";
  const settings = settingsOf(schema, kind);
  const of = (key: string) => schema.properties?.[key] ?? {};
  const field = (key: string) => (
    <SchemaField key={key} schema={of(key)} path={[key]} form={form} />
  );
  const group = (key: string, show: string[]) => (
    <Group key={key} schema={unwrapped(of(key))} path={[key]} form={form} show={show} />
  );
  const names = Array.isArray(form.job.files) ? form.job.files.map(String) : [];
  const picked = names.every((name) => draft.files[name]);
  const files = picked ? form.wrong.filter((each) => each.path.startsWith("files")) : [];
  return (
    <>
      <section class="panel form" aria-labelledby="what">
        <h2 id="what">What it is</h2>
        <Kind schema={schema} kind={kind} wrong={form.wrong} />
        {field("name")}
      </section>
      <section class="panel form" aria-labelledby="runs">
        <h2 id="runs">{settings ? "What it is told" : "What runs"}</h2>
        {settings ? (
          <Group
            key={kind}
            schema={settings}
            path={["settings"]}
            form={form}
            show={Object.keys(settings.properties ?? {}).slice(0, 6)}
          />
        ) : (
          field("command")
        )}
        <Files
          draft={draft}
          names={names}
          problem={files.map((each) => each.reason).join("; ") || null}
          onChange={(held, list) => {
            keep((it) => {
              const text = changed(it.text, ["files"], list.length ? list : undefined);
              return { ...it, files: held, text };
            });
          }}
        />
      </section>
      <section class="panel form" aria-labelledby="needs">
        <h2 id="needs">What it needs</h2>
        {group("resources", ["cpus", "memory"])}
        {group("limits", ["time"])}
      </section>
      <section class="panel form" aria-labelledby="inputs">
        <h2 id="inputs">Inputs</h2>
        {settings && (
          <p class="help">The kind asks for its own; one of the same name replaces it.</p>
        )}
        <Named name="inputs" schema={of("inputs")} form={form} />
      </section>
      <section class="panel form" aria-labelledby="outputs">
        <h2 id="outputs">Outputs</h2>
        <Named name="outputs" schema={of("outputs")} form={form} />
      </section>
      <details class="panel">
        <summary>More: software, retries, when it may start …</summary>
        <div class="new-more">{MORE.map(field)}</div>
      </details>
    </>
  );
}

function Kind({
  schema,
  kind,
  wrong,
}: {
  schema: Schema;
  kind: string;
  wrong: FormState["wrong"];
}) {
  const [draft, keep] = useDraft();
  const kinds = kindsOf(schema);
  const all = kinds.includes(kind) ? kinds : [kind, ...kinds];
  const choose = (next: string) => {
    // What another kind was told means nothing to this one.
    let text = changed(draft.text, ["kind"], next);
    for (const key of ["settings", "command", "inputs", "outputs"]) {
      text = changed(text, [key], undefined);
    }
    if (read(text).job?.name === "hello") text = changed(text, ["name"], undefined);
    if (next === "command") text = changed(text, ["command"], ["echo", "hello"]);
    keep({ ...draft, text });
  };
  return (
    <SelectField
      label="Kind"
      help="What runs it. With another kind the settings, inputs and outputs begin anew."
      problem={wrong.find((each) => each.path === "kind")?.reason ?? null}
      value={kind}
      options={all.map((each) => [each, each] as const)}
      onValue={choose}
    />
  );
}
