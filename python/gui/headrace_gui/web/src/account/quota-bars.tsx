// What somebody has and uses, as bars against the quotas that there are.
import { Bar } from "../components/bar";
import { bytes } from "../format";
import { limitsOf } from "./quotas";

interface Held {
  stored_bytes?: number | null;
  quota_bytes?: number | null;
  run_quota?: string | null;
  run_used?: string | null;
}

export function QuotaBars({ held }: { held: Held }) {
  const { stored_bytes: stored, quota_bytes: quota } = held;
  const bounded = quota !== null && quota !== undefined;
  return (
    <div class="quota-bars">
      {stored !== null && stored !== undefined && (
        <Bar
          label="Data kept"
          used={stored}
          of={quota}
          text={bounded ? `${bytes(stored)} of ${bytes(quota)}` : `${bytes(stored)}, no quota`}
        />
      )}
      {limitsOf(held.run_quota, held.run_used).map((limit) => (
        <Bar
          key={limit.what}
          label={limit.what}
          used={limit.used ?? 0}
          of={limit.used === null ? null : limit.of}
          text={limit.text}
        />
      ))}
    </div>
  );
}
