// For admins: users, groups, and what they may have and use.
import "./people.css";
import { api } from "../api";
import { Notice } from "../components/notice";
import { useFetched } from "../fetched";
import { Groups } from "../people/groups";
import { Users } from "../people/users";
import { Link } from "../router";
import { session } from "../session";
import { useStore } from "../store";

export default function PeoplePage() {
  const { me } = useStore(session);
  return (
    <>
      <h1>People</h1>
      {me?.role === "admin" ? <Managed /> : <Refused role={me?.role ?? ""} />}
    </>
  );
}

/** The API would refuse each change; nobody is shown buttons that can't work. */
function Refused({ role }: { role: string }) {
  return (
    <div class="notice bad" role="alert">
      <div>
        <p>403: this page is for admins, and your role is {role}.</p>
        <p class="hint">
          Next: ask an admin about users, groups and quotas. What you have and use yourself is on{" "}
          <Link to="/account">your account</Link>.
        </p>
      </div>
    </div>
  );
}

function Managed() {
  const users = useFetched("users", (signal) => api.get("/api/v1/users", { signal }));
  const groups = useFetched("groups", (signal) => api.get("/api/v1/groups", { signal }));
  const again = () => {
    users.again();
    groups.again();
  };
  const error = users.error ?? groups.error;
  if (!users.value || !groups.value) {
    if (error) return <Notice error={error} onRetry={again} />;
    return <div class="loading" aria-busy="true" />;
  }
  return (
    <>
      {error && <Notice error={error} onRetry={again} />}
      <Users
        users={users.value.users}
        groups={groups.value.groups.map((each) => each.name)}
        again={again}
      />
      <Groups
        groups={groups.value.groups}
        users={users.value.users.map((each) => each.name)}
        again={again}
      />
    </>
  );
}
