// Who I am: role, groups, what I use of my quotas, my tokens, password, webhooks and secrets.
import "./account.css";
import { Secrets, Webhooks } from "../account/kept";
import { Password } from "../account/password";
import { QuotaBars } from "../account/quota-bars";
import { Tokens } from "../account/tokens";
import { api, type Schemas } from "../api";
import { Bar } from "../components/bar";
import { Notice } from "../components/notice";
import { useFetched } from "../fetched";
import { dateTime, duration } from "../format";
import { type Me, session } from "../session";
import { useStore } from "../store";

const ABOUT: Record<Schemas["UserRole"], string> = {
  admin: "sees and does everything, manages people",
  user: "runs jobs, keeps data, shares both",
  viewer: "sees what is shared with them, changes nothing",
};

export default function AccountPage() {
  const signedIn = useStore(session).me as Me;
  const read = useFetched(signedIn.name, (signal) => api.get("/api/v1/me", { signal }));
  const me = read.value ?? signedIn;
  const changes = me.role !== "viewer";
  return (
    <>
      <h1>Account</h1>
      {read.error && <Notice error={read.error} onRetry={read.again} />}
      <div class="account-grid">
        <Who me={me} />
        <Use me={me} />
        <Tokens me={me} />
        <Password user={me.name} />
        <div class="account-stack">
          {changes && <Webhooks />}
          {changes && <Secrets />}
        </div>
      </div>
    </>
  );
}

function Who({ me }: { me: Me }) {
  return (
    <section class="panel" aria-labelledby="who">
      <h2 id="who">Who you are</h2>
      <dl class="facts">
        <dt>Name</dt>
        <dd>{me.name}</dd>
        <dt>Role</dt>
        <dd>
          {me.role} <span class="fine">{ABOUT[me.role]}</span>
        </dd>
        <dt>Groups</dt>
        <dd>{me.groups?.length ? me.groups.join(", ") : "none"}</dd>
        <dt>Signed in for</dt>
        <dd>{me.scopes?.join(", ") || "nothing"}</dd>
        <dt>Until</dt>
        <dd>
          {me.expires ? (
            <time dateTime={me.expires} title={me.expires}>
              {dateTime(me.expires)}
            </time>
          ) : (
            "for good"
          )}
        </dd>
      </dl>
    </section>
  );
}

const percent = (part: number) =>
  `${(part * 100).toLocaleString(undefined, { maximumFractionDigits: 1 })} %`;

function Use({ me }: { me: Me }) {
  const { share } = me;
  return (
    <section class="panel" aria-labelledby="use">
      <h2 id="use">What you use</h2>
      <div class="account-stack">
        {(me.storage ?? []).map((held) => {
          const [kind, name] = held.who.split(":");
          return (
            <div key={held.who} class="account-held">
              <h3>{kind === "group" ? `Group ${name}, all members together` : "You"}</h3>
              <QuotaBars held={held} />
            </div>
          );
        })}
        {share && (
          <div class="account-held">
            <h3>Fair share</h3>
            <Bar
              label="Your part of the CPU time of all"
              used={share.part}
              of={1}
              calm
              text={`${percent(share.part)}, ${share.cpu_hours.toLocaleString(undefined, { maximumFractionDigits: 1 })} CPU hours`}
            />
            {Boolean(me.groups?.length) && (
              <Bar
                label="That of your groups"
                used={share.group_part}
                of={1}
                calm
                text={percent(share.group_part)}
              />
            )}
            <p class="fine">
              {share.behind_s
                ? `Your jobs go back ${duration(share.behind_s)} in the queue for it.`
                : "Your jobs don't go back in the queue for it."}{" "}
              What was used a week ago counts half.
            </p>
          </div>
        )}
      </div>
    </section>
  );
}
