// The JSON of /api/v1. Times are milliseconds since 1970, 0 when not known.

export const conditions = ["busy", "idle", "booting", "draining", "terminating", "vanished"] as const;
export type Condition = (typeof conditions)[number];
export type Counts = Partial<Record<Condition, number>>;

export interface Source {
  last_good: number;
  down_since: number;
  class?: string;
  message?: string;
}

// Trouble is something that is wrong, or to be seen to.
export interface Trouble {
  about: string;
  autoscaler?: string;
  wrong: boolean;
  found: string;
  cure?: string;
  lines?: string[];
}

export interface Head {
  name: string;
  now: number;
  told: number;
  problem?: string;
  troubles: Trouble[];
  version: string;
  holder: string;
  started: number;
  stopping?: boolean;
  rival?: { at: number; text: string };
  pause?: { at: number; by?: string; why?: string; until?: number };
  clearml: Source;
  ec2: Source;
  events_pending: number;
  events_lost: number;
  counts: Counts;
  running: number;
  waiting: number;
  waiting_unknown: number;
  wait_since: number;
  cost: { hourly_usd: number; today_usd: number; unknown_now: number; unknown_today: number; resources: Record<string, { today_hours: number; today_usd: number }> };
}

export interface Queue {
  name: string;
  known: boolean;
  waiting: number;
  wait_since: number;
  resources: string[] | null;
  covered: number;
  launching: number;
  unmet: number;
  reasons?: string[];
}

export interface Resource {
  name: string;
  known: boolean;
  retired?: boolean;
  max: number;
  alive: number;
  launching: number;
  counts: Counts;
  types: string[] | null;
  markets: string[] | null;
  queues: string[] | null;
  held?: string[];
  blocks?: { offering: string; class: string; until: number }[];
  max_idle_seconds: number;
  boot_within_seconds: number;
}

export interface Instance {
  id: string;
  resource: string;
  type: string;
  zone?: string;
  market: string;
  condition: Condition;
  since: number;
  launched: number;
  worker?: string;
  task?: string;
  task_name?: string;
  why?: string;
  notice?: string;
  hourly_usd?: number;
}

export interface LogLine {
  id: string;
  at: number;
  kind: string;
  about?: string;
  level: "info" | "warn" | "error";
  text: string;
}

export interface History {
  step_seconds: number;
  at: number[];
  conditions: Record<string, (number | null)[]>;
  resources: Record<string, (number | null)[]>;
  waiting: Record<string, (number | null)[]>;
  wait_seconds: Record<string, (number | null)[]>;
  hourly_usd: (number | null)[];
}

export interface Snapshot {
  rev: number;
  head: Head;
  queues: Queue[];
  resources: Resource[];
  instances: Instance[];
  log: LogLine[];
}

export interface Delta {
  rev: number;
  head: Head;
  queues?: Queue[];
  resources?: Resource[];
  instances?: Instance[];
  gone?: string[];
  log?: LogLine[];
  history?: History;
}

export interface Links {
  instance?: string;
  task?: string;
  queues?: string;
}

export interface Me {
  version: string;
  speed: number;
  read: boolean;
  act: boolean;
  by: string;
  token: boolean;
  token_file: string;
  password: boolean;
  wizard: boolean;
}

// Change is what a new configuration changes, or would.
export interface Change {
  changes: string[];
  restart: string[];
  file?: string;
  before?: string;
}
