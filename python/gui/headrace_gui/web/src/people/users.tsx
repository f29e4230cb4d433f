// All users: make one, give a role, shut out, bound, give a new password.
import { useState } from "preact/hooks";
import { QuotaBars } from "../account/quota-bars";
import { useAction } from "../action";
import { api, type Schemas } from "../api";
import { Confirm } from "../components/confirm";
import { Dialog } from "../components/dialog";
import { CheckField, SelectField, TextField } from "../components/form";
import { Icon } from "../components/icons";
import { Notice } from "../components/notice";
import { Once } from "../components/once";
import { toast } from "../components/toasts";
import { session } from "../session";
import { useStore } from "../store";
import { QuotaDialog } from "./quota";

export type User = Schemas["UserView"];
type Role = Schemas["UserRole"];

const ROLES = [
  ["user", "user: runs jobs, keeps data, shares both"],
  ["viewer", "viewer: sees what is shared with them"],
  ["admin", "admin: sees and does everything"],
] as const;

interface UsersProps {
  users: readonly User[];
  groups: readonly string[];
  again: () => void;
}

export function Users({ users, groups, again }: UsersProps) {
  const [making, setMaking] = useState(false);
  const [once, setOnce] = useState<{ user: string; password: string } | null>(null);
  const [wanted, setWanted] = useState("");
  const shown = users.filter((each) => each.name.includes(wanted.trim().toLowerCase()));
  return (
    <section class="panel" aria-labelledby="users">
      <div class="spread">
        <h2 id="users">Users</h2>
        <div class="row">
          <input
            class="people-search"
            type="search"
            aria-label="Part of a user's name"
            placeholder="Part of a name"
            value={wanted}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
          <button type="button" class="button" onClick={() => setMaking(true)}>
            <Icon name="add" /> New user
          </button>
        </div>
      </div>
      <ul class="people-rows" aria-label="Users">
        {shown.map((user) => (
          <UserRow
            key={user.name}
            user={user}
            again={again}
            onPassword={(password) => setOnce({ user: user.name, password })}
          />
        ))}
        {shown.length === 0 && <li class="quiet">No user is called so.</li>}
      </ul>
      {making && (
        <NewUser
          groups={groups}
          onClose={() => setMaking(false)}
          onMade={(user, password) => {
            setMaking(false);
            setOnce({ user, password });
            again();
          }}
        />
      )}
      {once && (
        <Once
          title={`Password of ${once.user}`}
          label={`Password of ${once.user}`}
          secret={once.password}
          about="Give it to them on a safe way; they change it on their account page."
          onClose={() => setOnce(null)}
        />
      )}
    </section>
  );
}

type Asked = "quota" | "password" | "disabled" | null;

interface UserRowProps {
  user: User;
  again: () => void;
  onPassword: (password: string) => void;
}

function UserRow({ user, again, onPassword }: UserRowProps) {
  const { me } = useStore(session);
  const [asked, setAsked] = useState<Asked>(null);
  const close = () => setAsked(null);
  const path = { user: user.name };
  const role = useAction(async (to: Role) => {
    try {
      await api.patch("/api/v1/users/{user}", { path, body: { role: to } });
      toast(`${user.name} is ${to} now.`);
    } finally {
      again();
    }
  });
  return (
    <li class={user.disabled ? "people-off" : ""} aria-label={user.name}>
      <div class="people-words">
        <span>
          <strong>{user.name}</strong>
          {user.name === me?.name && <span class="fine"> you</span>}
          {user.disabled && <span class="people-tag">disabled</span>}
        </span>
        <span class="fine">
          {user.groups?.length ? user.groups.join(", ") : "no group"} · since{" "}
          <time dateTime={user.created} title={user.created}>
            {new Date(user.created).toLocaleDateString()}
          </time>
        </span>
      </div>
      <QuotaBars held={user} />
      <div class="people-acts">
        <select
          aria-label={`Role of ${user.name}`}
          value={user.role}
          aria-busy={role.state.kind === "pending"}
          onChange={(event) => void role.run(event.currentTarget.value as Role)}
        >
          {ROLES.map(([each]) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
        <button type="button" class="button" onClick={() => setAsked("quota")}>
          Quota
        </button>
        {user.name !== me?.name && (
          <>
            <button type="button" class="button" onClick={() => setAsked("password")}>
              New password
            </button>
            <button
              type="button"
              class={`button ${user.disabled ? "" : "danger"}`}
              onClick={() => setAsked("disabled")}
            >
              {user.disabled ? "Enable" : "Disable"}
            </button>
          </>
        )}
      </div>
      {role.state.kind === "failed" && (
        <div class="people-error">
          <Notice error={role.state.error} onClose={role.reset} />
        </div>
      )}
      {asked === "quota" && (
        <QuotaDialog
          title={`Quota of ${user.name}`}
          held={user}
          onClose={close}
          work={async (quota) => {
            await api.patch("/api/v1/users/{user}", { path, body: { quota } });
            toast(`The quota of ${user.name} is changed.`);
            again();
          }}
        />
      )}
      {asked === "password" && (
        <Confirm
          title={`A new password for ${user.name}?`}
          verb="Make a password"
          pending="Making"
          onClose={close}
          work={async () => {
            const made = await api.put("/api/v1/users/{user}/password", { path, body: {} });
            onPassword(made.password ?? "");
          }}
        >
          <p>
            One is made and shown once. The old one, and all tokens of {user.name}, are good no
            more.
          </p>
        </Confirm>
      )}
      {asked === "disabled" && (
        <Confirm
          title={user.disabled ? `Let ${user.name} in again?` : `Shut ${user.name} out?`}
          verb={user.disabled ? "Enable" : "Disable"}
          pending="Changing"
          danger={!user.disabled}
          onClose={close}
          work={async () => {
            const disabled = !user.disabled;
            await api.patch("/api/v1/users/{user}", { path, body: { disabled } });
            toast(`${user.name} is ${disabled ? "disabled" : "enabled"}.`);
            again();
          }}
        >
          <p>
            {user.disabled
              ? "Passwords and tokens let them in again."
              : "Passwords and tokens let them in no more. Their jobs and data stay, and what runs or waits runs on."}
          </p>
        </Confirm>
      )}
    </li>
  );
}

interface NewUserProps {
  groups: readonly string[];
  onMade: (user: string, password: string) => void;
  onClose: () => void;
}

function NewUser({ groups, onMade, onClose }: NewUserProps) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<string>("user");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const { state, run, reset } = useAction(async () => {
    const body = { name: name.trim(), role: role as Role, groups: [...chosen] };
    const made = await api.post("/api/v1/users", { body });
    onMade(made.name, made.password ?? "");
  });
  return (
    <Dialog title="New user" onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <TextField
          label="Name"
          help="Small letters, digits, dots and dashes. It stays: users are never deleted."
          value={name}
          onValue={setName}
          autoComplete="off"
          autoCapitalize="none"
          spellcheck={false}
          required
        />
        <SelectField label="Role" value={role} onValue={setRole} options={ROLES} />
        {groups.length > 0 && (
          <fieldset class="people-groups">
            <legend>Groups</legend>
            {groups.map((group) => (
              <CheckField
                key={group}
                label={group}
                checked={chosen.has(group)}
                onValue={(on) =>
                  setChosen(
                    new Set(on ? [...chosen, group] : [...chosen].filter((g) => g !== group)),
                  )
                }
              />
            ))}
          </fieldset>
        )}
        {state.kind === "failed" && <Notice error={state.error} onClose={reset} />}
        <div class="row">
          <button type="submit" class="button primary" aria-disabled={state.kind === "pending"}>
            {state.kind === "pending" ? "Making" : "Make the user"}
          </button>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <span class="fine">A password is made and shown once.</span>
        </div>
      </form>
    </Dialog>
  );
}
