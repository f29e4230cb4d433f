// Groups: who is in them, what they may have together.
import { useState } from "preact/hooks";
import { QuotaBars } from "../account/quota-bars";
import { useAction } from "../action";
import { api, type Schemas } from "../api";
import { Confirm } from "../components/confirm";
import { TextField } from "../components/form";
import { Icon } from "../components/icons";
import { Notice } from "../components/notice";
import { toast } from "../components/toasts";
import { count } from "../format";
import { QuotaDialog } from "./quota";

type Group = Schemas["GroupView"];

interface GroupsProps {
  groups: readonly Group[];
  users: readonly string[];
  again: () => void;
}

export function Groups({ groups, users, again }: GroupsProps) {
  const [making, setMaking] = useState(false);
  const [name, setName] = useState("");
  return (
    <section class="panel" aria-labelledby="groups">
      <div class="spread">
        <h2 id="groups">Groups</h2>
        <button
          type="button"
          class="button"
          onClick={() => {
            setName("");
            setMaking(true);
          }}
        >
          <Icon name="add" /> New group
        </button>
      </div>
      <ul class="people-rows" aria-label="Groups">
        {groups.map((group) => (
          <GroupRow key={group.name} group={group} users={users} again={again} />
        ))}
        {groups.length === 0 && <li class="quiet">There are no groups.</li>}
      </ul>
      {making && (
        <Confirm
          title="New group"
          verb="Make the group"
          pending="Making"
          onClose={() => setMaking(false)}
          work={async () => {
            await api.post("/api/v1/groups", { body: { name: name.trim() } });
            again();
          }}
        >
          <TextField
            label="Name"
            value={name}
            onValue={setName}
            autoComplete="off"
            autoCapitalize="none"
            required
          />
        </Confirm>
      )}
    </section>
  );
}

interface GroupRowProps {
  group: Group;
  users: readonly string[];
  again: () => void;
}

function GroupRow({ group, users, again }: GroupRowProps) {
  const [asked, setAsked] = useState<"quota" | "delete" | null>(null);
  const members = group.members ?? [];
  const others = users.filter((each) => !members.includes(each));
  const member = useAction(async (user: string, isIn: boolean) => {
    const path = { group: group.name, user };
    const place = "/api/v1/groups/{group}/members/{user}";
    await (isIn ? api.put(place, { path }) : api.delete(place, { path }));
    again();
  });
  return (
    <li aria-label={group.name}>
      <div class="people-words">
        <strong>{group.name}</strong>
        <ul class="people-chips" aria-label={`Members of ${group.name}`}>
          {members.map((user) => (
            <li key={user}>
              {user}
              <button
                type="button"
                class="button icon"
                aria-label={`Take ${user} out of ${group.name}`}
                onClick={() => void member.run(user, false)}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
          {members.length === 0 && <li class="fine">nobody</li>}
        </ul>
      </div>
      <QuotaBars held={group} />
      <div class="people-acts">
        <select
          aria-label={`Add to ${group.name}`}
          value=""
          disabled={others.length === 0}
          onChange={(event) => {
            const user = event.currentTarget.value;
            event.currentTarget.value = "";
            if (user) void member.run(user, true);
          }}
        >
          <option value="">Add a user …</option>
          {others.map((user) => (
            <option key={user} value={user}>
              {user}
            </option>
          ))}
        </select>
        <button type="button" class="button" onClick={() => setAsked("quota")}>
          Quota
        </button>
        <button type="button" class="button danger" onClick={() => setAsked("delete")}>
          Delete
        </button>
      </div>
      {member.state.kind === "failed" && (
        <div class="people-error">
          <Notice error={member.state.error} onClose={member.reset} />
        </div>
      )}
      {asked === "quota" && (
        <QuotaDialog
          title={`Quota of group ${group.name}`}
          held={group}
          onClose={() => setAsked(null)}
          work={async (quota) => {
            const path = { group: group.name };
            await api.patch("/api/v1/groups/{group}", { path, body: { quota } });
            toast(`The quota of group ${group.name} is changed.`);
            again();
          }}
        />
      )}
      {asked === "delete" && (
        <Confirm
          title={`Delete group ${group.name}?`}
          verb="Delete"
          pending="Deleting"
          danger
          onClose={() => setAsked(null)}
          work={async () => {
            await api.delete("/api/v1/groups/{group}", { path: { group: group.name } });
            toast(`Group ${group.name} is deleted.`);
            again();
          }}
        >
          <p>
            Its {count(members.length, "member")} stay, and see no more what is shared with the
            group alone. That can't be taken back.
          </p>
        </Confirm>
      )}
    </li>
  );
}
