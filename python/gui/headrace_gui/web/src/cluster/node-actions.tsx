// What an admin does to a node; each asks first.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { api } from "../api";
import { Confirm } from "../components/confirm";
import { TextArea } from "../components/form";
import { toast } from "../components/toasts";
import { count } from "../format";
import type { Node } from "./nodes";

type Verb = "drain" | "undrain" | "label" | "confirm-lost" | "remove" | "discard";

interface Words {
  label: string;
  title: string;
  pending: string;
  done: string;
  about: ComponentChildren;
  danger?: boolean;
}

function wordsOf(verb: Exclude<Verb, "label">, node: Node): Words {
  switch (verb) {
    case "drain":
      return {
        label: "Drain",
        title: `Drain ${node.id}?`,
        pending: "Draining",
        done: "takes nothing new",
        about: `What runs there (${count(node.jobs?.length ?? 0, "job")}) goes on, and nothing new comes until it is undrained.`,
      };
    case "undrain":
      return {
        label: "Undrain",
        title: `Undrain ${node.id}?`,
        pending: "Undraining",
        done: "takes work again",
        about: "It takes new work again.",
      };
    case "confirm-lost":
      return {
        label: "Confirm lost",
        title: `Is ${node.id} off?`,
        pending: "Confirming",
        done: "is confirmed lost",
        about:
          "Say it only of a machine that is off: exclusive jobs that wait for it run again, and a worker that lives on there would be the second one of its job.",
        danger: true,
      };
    case "remove":
      return {
        label: "Remove",
        title: `Remove ${node.id}?`,
        pending: "Removing",
        done: "is removed",
        about: "It is forgotten, with its labels.",
        danger: true,
      };
    case "discard":
      return {
        label: "Discard quarantined",
        title: `Discard what ${node.id} keeps in quarantine?`,
        pending: "Discarding",
        done: "ends and removes what it kept in quarantine",
        about: (
          <>
            Workers of attempts that a restored Redis does not know are ended, and their files
            removed. That can't be taken back:{" "}
            <span class="mono">{(node.quarantined ?? []).join(", ")}</span>
          </>
        ),
        danger: true,
      };
  }
}

async function doTo(node: string, verb: Exclude<Verb, "label">): Promise<unknown> {
  const path = { node };
  switch (verb) {
    case "drain":
      return api.post("/api/v1/nodes/{node}:drain", { path });
    case "undrain":
      return api.post("/api/v1/nodes/{node}:undrain", { path });
    case "confirm-lost":
      return api.post("/api/v1/nodes/{node}:confirm-lost", { path });
    case "remove":
      return api.post("/api/v1/nodes/{node}:remove", { path });
    case "discard":
      return api.post("/api/v1/nodes/{node}:discard", { path, body: {} });
  }
}

function offers(node: Node): Exclude<Verb, "label">[] {
  const lost = node.state === "LOST";
  return [
    node.state === "DRAINED" ? "undrain" : "drain",
    ...(lost && !node.confirmed ? (["confirm-lost"] as const) : []),
    ...(lost ? (["remove"] as const) : []),
    ...(node.quarantined?.length ? (["discard"] as const) : []),
  ];
}

export function NodeActions({ node }: { node: Node }) {
  const [asked, setAsked] = useState<Verb | null>(null);
  const words = asked && asked !== "label" ? wordsOf(asked, node) : null;
  return (
    <div class="row">
      {offers(node).map((verb) => {
        const { label, danger } = wordsOf(verb, node);
        return (
          <button
            key={verb}
            type="button"
            class={`button ${danger ? "danger" : ""}`}
            aria-label={`${label} ${node.id}`}
            onClick={() => setAsked(verb)}
          >
            {label}
          </button>
        );
      })}
      <button
        type="button"
        class="button"
        aria-label={`Labels of ${node.id}: change`}
        onClick={() => setAsked("label")}
      >
        Labels
      </button>
      {words && asked && asked !== "label" && (
        <Confirm
          title={words.title}
          verb={words.label}
          pending={words.pending}
          danger={words.danger ?? false}
          onClose={() => setAsked(null)}
          work={async () => {
            await doTo(node.id, asked);
            toast(`${node.id} ${words.done}.`);
          }}
        >
          <p>{words.about}</p>
        </Confirm>
      )}
      {asked === "label" && <LabelDialog node={node} onClose={() => setAsked(null)} />}
    </div>
  );
}

function LabelDialog({ node, onClose }: { node: Node; onClose: () => void }) {
  const [before] = useState(() => new Map(Object.entries(node.labels ?? {})));
  const [text, setText] = useState(() =>
    [...before].map(([name, value]) => `${name}=${value}`).join("\n"),
  );
  return (
    <Confirm
      title={`Labels of ${node.id}`}
      verb="Set the labels"
      pending="Setting"
      onClose={onClose}
      work={async () => {
        const wanted = new Map<string, string>();
        for (const line of text.split("\n").map((each) => each.trim())) {
          if (!line) continue;
          const at = line.indexOf("=");
          if (at < 0) wanted.set(line, "");
          else wanted.set(line.slice(0, at).trim(), line.slice(at + 1).trim());
        }
        const set = Object.fromEntries(
          [...wanted].filter(([name, value]) => before.get(name) !== value),
        );
        const remove = [...before.keys()].filter((name) => !wanted.has(name));
        if (!remove.length && !Object.keys(set).length) return;
        await api.post("/api/v1/nodes/{node}:label", {
          path: { node: node.id },
          body: { set, remove },
        });
        toast(`The labels of ${node.id} are changed.`);
      }}
    >
      <TextArea
        label="A label a line"
        help="Such as rack=r7. Jobs choose among nodes by them."
        rows={5}
        spellcheck={false}
        value={text}
        onValue={setText}
      />
    </Confirm>
  );
}
