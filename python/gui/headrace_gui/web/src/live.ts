// What happens, as it happens: one WebSocket a tab (docs/websocket.md) for all that pages follow.
// A connection that breaks is made again, and each subscription goes on where it was: nothing is
// lost and nothing comes twice.
import { ApiError, type Schemas } from "./api";
import { loadSession, session } from "./session";
import { Store } from "./store";

export type Job = Schemas["JobView"];

/** What may be followed. `logs` names its attempt: bytes count in the file of one attempt. */
export type Ask =
  | {
      topic: "jobs";
      jobs?: string[];
      status?: string[];
      kind?: string;
      owner?: string;
      q?: string;
    }
  | {
      topic: "logs";
      job: string;
      attempt: number;
      stream?: "out" | "err" | "both";
      rank?: number;
    }
  | { topic: "progress"; job: string }
  | { topic: "when"; job: string }
  | { topic: "usage"; job: string; since?: string }
  | { topic: "cluster"; since?: string }
  | { topic: "nodes" };

export interface JobEvent {
  from: string;
  to: string;
  version: number;
  attempt: number;
}

export type Message =
  | { type: "snapshot"; at: string; jobs: Job[]; more: boolean }
  | { type: "following"; at: string }
  /** Some changes are told no more: a snapshot comes next. */
  | { type: "resync" }
  | { type: "job"; at: string; event: JobEvent; job: Job }
  | {
      type: "log";
      attempt: number;
      stream: "out" | "err";
      offset: number;
      end: number;
      text: string;
    }
  | { type: "end" }
  | { type: "nodes"; nodes: Schemas["NodeView"][] }
  | { type: "usage"; usage: Schemas["UsageView"] }
  | { type: "cluster"; series: Schemas["SeriesView"] }
  | { type: "progress"; progress: Schemas["ProgressView"] }
  | { type: "when"; when: Schemas["WhenView"] }
  /** This subscription is over. */
  | { type: "error"; code: string; detail: string; hint: string | null };

export type LiveState =
  | { kind: "live" }
  | { kind: "connecting" }
  /** What is shown may be old. `since`: when the server was last heard, ms. */
  | { kind: "stale"; since: number };

interface Followed {
  ask: Ask;
  hear: (message: Message) => void;
  at: string | null;
  offsets: { out: number; err: number };
  /** When the server ended it for what passes, ms; null while it is followed. */
  brokenAt: number | null;
  sentAt: number;
  pauseMs: number;
  again: number | undefined;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
/** The server says something every 10 s; who hears nothing for this long is cut off. */
const SILENCE_MS = 25_000;
/** A gap as short as this is not worth a banner. */
const PATIENCE_MS = 1_500;
/** A subscription is followed again after at most this long. */
const LONGEST_WAIT_MS = 30_000;
/** Who is not refused for this long is followed: not every topic says something at once. */
const SETTLED_MS = 3_000;
const UNAUTHORIZED = 4001;
/** What ends a subscription only for now. */
const PASSING = new Set(["UNAVAILABLE", "RATE_LIMITED", "MAINTENANCE", "INTERNAL"]);

export const liveState = new Store<LiveState>({ kind: "connecting" });

class Connection {
  private socket: WebSocket | null = null;
  /** Whether it may be spoken to: the server said hello. */
  private greeted = false;
  private readonly followed = new Map<string, Followed>();
  private made = 0;
  private pauseMs = FIRST_PAUSE_MS;
  private again: number | undefined;
  private heardAt = Date.now();
  private beganAt = 0;

  constructor() {
    setInterval(() => this.look(), 1_000);
    addEventListener("online", () => this.connectSoon(0));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.connectSoon(0);
    });
    // Signed in again: go on at once.
    session.listen((now) => {
      if (now.me && !now.expired) this.connectSoon(0);
      if (!now.me) this.socket?.close();
    });
  }

  follow(ask: Ask, hear: (message: Message) => void): () => void {
    const id = `f${++this.made}`;
    this.followed.set(id, {
      ask,
      hear,
      at: null,
      offsets: { out: 0, err: 0 },
      brokenAt: null,
      sentAt: 0,
      pauseMs: FIRST_PAUSE_MS,
      again: undefined,
    });
    if (this.greeted) this.sendFollow(id);
    else this.connectSoon(0);
    return () => {
      clearTimeout(this.followed.get(id)?.again);
      if (this.followed.delete(id) && this.greeted) this.send({ op: "unfollow", id });
    };
  }

  connectSoon(pauseMs: number): void {
    const { me, expired } = session.get();
    if (this.socket || !me || expired) return;
    // Who waits already goes on waiting, unless somebody wants it now.
    if (this.again !== undefined && pauseMs > 0) return;
    clearTimeout(this.again);
    this.again = setTimeout(() => {
      this.again = undefined;
      this.connect();
    }, pauseMs);
  }

  private connect(): void {
    if (this.socket) return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/v1/ws`);
    this.socket = socket;
    this.beganAt = Date.now();
    socket.onmessage = (event) => this.hear(String(event.data));
    socket.onclose = (event) => this.closed(socket, event.code);
  }

  private send(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private sendFollow(id: string): void {
    const one = this.followed.get(id);
    if (!one) return;
    clearTimeout(one.again);
    one.again = undefined;
    one.sentAt = Date.now();
    const resumed =
      one.ask.topic === "jobs" && one.at
        ? { after: one.at }
        : one.ask.topic === "logs"
          ? { offsets: one.offsets }
          : {};
    this.send({ op: "follow", id, ...one.ask, ...resumed });
  }

  private hear(text: string): void {
    this.heardAt = Date.now();
    const message = JSON.parse(text) as Message & { id?: string | null; type: string };
    if ((message.type as string) === "hello") {
      this.pauseMs = FIRST_PAUSE_MS;
      this.greeted = true;
      if (!this.brokenSince()) liveState.set({ kind: "live" });
      for (const id of this.followed.keys()) this.sendFollow(id);
      return;
    }
    const one = message.id ? this.followed.get(message.id) : undefined;
    if (!one || !message.id) return;
    if (message.type === "error" && PASSING.has(message.code)) {
      this.followLater(message.id, one);
      return;
    }
    mended(one);
    if ("at" in message) one.at = message.at;
    if (message.type === "log") {
      if (message.end <= one.offsets[message.stream]) return; // told before
      one.offsets[message.stream] = message.end;
    }
    if (message.type === "end" || message.type === "error") this.followed.delete(message.id);
    one.hear(message);
  }

  private followLater(id: string, one: Followed): void {
    one.brokenAt ??= Date.now();
    clearTimeout(one.again);
    one.again = setTimeout(
      () => {
        one.again = undefined;
        if (this.greeted) this.sendFollow(id); // else it is once there is a connection
      },
      one.pauseMs * (0.5 + Math.random()),
    );
    one.pauseMs = Math.min(one.pauseMs * 2, LONGEST_WAIT_MS);
  }

  /** Since when some subscription is broken, ms; undefined: none is. */
  private brokenSince(): number | undefined {
    const all = [...this.followed.values()].map((one) => one.brokenAt).filter((at) => at !== null);
    return all.length ? Math.min(...all) : undefined;
  }

  /** Do now what would be done after a pause. */
  hurry(): void {
    this.connectSoon(0);
    if (!this.greeted) return;
    for (const [id, one] of this.followed) if (one.again !== undefined) this.sendFollow(id);
  }

  private closed(socket: WebSocket, code: number): void {
    if (socket !== this.socket) return;
    const greeted = this.greeted;
    this.socket = null;
    this.greeted = false;
    const next = () => {
      if (!this.followed.size) return;
      this.connectSoon(this.pauseMs * (0.5 + Math.random()));
      this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
    };
    // Perhaps the session is over. Why no connection came about a page is not told.
    if (code === UNAUTHORIZED || !greeted) {
      void loadSession()
        .catch(() => undefined)
        .finally(next);
    } else next();
  }

  /** Say so when nothing was heard for too long. */
  private look(): void {
    const now = Date.now();
    const { socket } = this;
    if (socket && now - Math.max(this.heardAt, this.beganAt) > SILENCE_MS) {
      socket.close();
      this.closed(socket, 0); // a network that is cut lets no close through
    }
    const silent = !this.greeted && now - this.heardAt > PATIENCE_MS;
    if (silent && this.followed.size && session.get().me && liveState.get().kind !== "stale") {
      liveState.set({ kind: "stale", since: this.heardAt });
    }
    if (this.greeted) this.lookAtBroken(now);
  }

  private lookAtBroken(now: number): void {
    for (const one of this.followed.values()) {
      if (one.again === undefined && now - one.sentAt > SETTLED_MS) mended(one);
    }
    const since = this.brokenSince();
    const { kind } = liveState.get();
    if (since === undefined && kind !== "live") liveState.set({ kind: "live" });
    else if (since !== undefined && kind === "live" && now - since > PATIENCE_MS) {
      liveState.set({ kind: "stale", since });
    }
  }
}

function mended(one: Followed): void {
  one.brokenAt = null;
  one.pauseMs = FIRST_PAUSE_MS;
}

const connection = new Connection();

/** Follow something until the function that is given back is called. */
export function follow(ask: Ask, hear: (message: Message) => void): () => void {
  return connection.follow(ask, hear);
}

/** Try to connect now, not only after the pause. */
export function reconnect(): void {
  connection.hurry();
}

/** What ended a subscription for good, to be shown. */
export function errorTold(message: Message & { type: "error" }): ApiError {
  return new ApiError(0, message.code, message.detail, message.hint ?? null);
}
