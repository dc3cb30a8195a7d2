// SPDX-License-Identifier: Apache-2.0
// What the coordinator says: kept here, told to whoever looks, and how old it is.

export type Row = Record<string, any>;

export class Unauthorised extends Error {}

/** Asks the API. Errors: Unauthorised; else an Error with what the coordinator said. */
export async function ask(method: string, path: string, body?: unknown, token?: string): Promise<Row> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers["Authorization"] = "Bearer " + token;
  let answer: Response;
  try {
    answer = await fetch("/api/v1/" + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Error("the coordinator does not answer");
  }
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 401) throw new Unauthorised(told.error?.text ?? "log in");
  if (!told.ok) throw new Error(told.error?.text ?? `it answered ${answer.status}`);
  return told;
}

export class Fleet {
  status: Row | null = null;
  nodes: Row[] = [];
  jobs: Row[] = [];
  events: Row[] = [];
  last_event = new Map<string, number>();  ///< of each node that the events name, when its newest was
  samples: number[][] = [];
  job: Row | null = null;
  gone = false;  ///< the job that is watched is none, or no longer
  members: Row[] = [];
  heard = 0;  ///< when it last said something, by this machine's clock
  connected = false;
  polled = false;
  private socket: WebSocket | null = null;
  private watched = 0;
  private failures = 0;
  private timer = 0;

  constructor(private changed: () => void, private locked: () => void) {}

  start(): void {
    this.stop();
    const socket = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/api/v1/live");
    this.socket = socket;
    // A line that takes a connection and then is silent is none.
    this.timer = window.setTimeout(() => socket.close(), 15000);
    socket.onopen = () => {
      if (this.watched) socket.send(JSON.stringify({ job: this.watched }));
    };
    socket.onmessage = (message) => {
      clearTimeout(this.timer);
      this.timer = window.setTimeout(() => socket.close(), 15000);
      this.failures = 0;
      this.connected = true;
      this.polled = false;
      this.take(JSON.parse(message.data));
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      clearTimeout(this.timer);
      this.connected = false;
      this.failures++;
      this.changed();
      void this.again();
    };
  }

  stop(): void {
    clearTimeout(this.timer);
    const old = this.socket;
    this.socket = null;
    old?.close();
    this.connected = false;
  }

  /** 0: none. */
  watch(job: number): void {
    if (this.watched === job) return;
    this.watched = job;
    this.job = null;
    this.gone = false;
    this.members = [];
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ job }));
  }

  private async again(): Promise<void> {
    const socket = this.socket;
    try {
      await ask("GET", "session");
      // Something between lets requests through, and no WebSocket.
      if (this.failures > 2) await this.poll();
    } catch (wrong) {
      if (wrong instanceof Unauthorised) return this.locked();
    }
    if (this.socket !== socket) return;
    const wait = this.polled ? 3000 : Math.min(10000, 500 * 2 ** Math.min(this.failures, 5)) * (0.5 + Math.random() / 2);
    this.timer = window.setTimeout(() => this.start(), wait);
  }

  private async poll(): Promise<void> {
    const [status, nodes, logs] = await Promise.all([ask("GET", "status"), ask("GET", "nodes"), ask("GET", "logs?lines=200")]);
    const job = this.watched ? await ask("GET", "jobs/" + this.watched).catch(() => null) : null;
    this.polled = true;
    for (const node of nodes.nodes) {
      delete node.heard_ms_ago;
      if (node.update_ms_ago !== undefined) node.updated_unix_ms = Date.now() - node.update_ms_ago;
    }
    this.take({ kind: "fleet", whole: true, status, nodes: nodes.nodes, jobs: status.jobs, events: logs.lines, samples: [] });
    if (job) this.take({ kind: "job", whole: true, job, members: job.member_list });
    else if (this.watched) this.take({ kind: "job", job: null, number: this.watched });
  }

  private take(news: Row): void {
    this.heard = Date.now();
    if (news.kind === "fleet") {
      this.status = news.status;
      if (news.whole) {
        this.nodes = [];
        this.jobs = [];
        this.events = [];
        if (news.samples.length) this.samples = [];
      }
      for (const node of news.nodes) this.nodes[node.node] = node;
      for (const job of news.jobs) {
        const at = this.jobs.findIndex((known) => known.job === job.job);
        if (at < 0) this.jobs.push(job);
        else this.jobs[at] = job;
      }
      // Those that are no longer named are gone.
      if (news.job_numbers) this.jobs = news.job_numbers.flatMap((number: number) => this.jobs.filter((job) => job.job === number));
      if (news.whole) this.last_event.clear();
      for (const event of news.events) if (event.node) this.last_event.set(event.node, event.time_ms);
      this.events = this.events.concat(news.events).slice(-500);
      this.samples = this.samples.concat(news.samples).slice(-720);
    } else if (news.kind === "job" && news.job === null) {
      if (news.number === this.watched) {
        this.job = null;
        this.members = [];
        this.gone = true;
      }
    } else if (news.kind === "job" && news.job.job === this.watched) {
      this.job = news.job;
      this.gone = false;
      if (news.whole) this.members = [];
      for (const member of news.members) this.members[member.member] = member;
    }
    this.changed();
  }
}
