// What the stream says, folded into what is shown. Pure: the connection is in
// stream.ts.
import type { Delta, Head, History, Instance, LogLine, Queue, Resource, Snapshot } from "./types";

export const linesMax = 2000;

export interface Picture {
  rev: number;
  head: Head;
  queues: Queue[];
  resources: Resource[];
  instances: Map<string, Instance>;
  log: LogLine[];
  // changes counts how often the set of instances changed, for those who sort it.
  changes: number;
}

export function begin(s: Snapshot, before?: Picture): Picture {
  return {
    rev: s.rev,
    head: s.head,
    queues: s.queues,
    resources: s.resources,
    instances: new Map(s.instances.map((i) => [i.id, i])),
    log: mergeLog(before?.log ?? [], s.log),
    changes: (before?.changes ?? 0) + 1,
  };
}

// follow is the picture after a delta; undefined when one is missing in between.
export function follow(p: Picture, d: Delta): Picture | undefined {
  if (d.rev !== p.rev + 1) return undefined;
  const moved = (d.instances?.length ?? 0) + (d.gone?.length ?? 0) > 0;
  for (const i of d.instances ?? []) p.instances.set(i.id, i);
  for (const id of d.gone ?? []) p.instances.delete(id);
  return {
    rev: d.rev,
    head: d.head,
    queues: d.queues ?? p.queues,
    resources: d.resources ?? p.resources,
    instances: p.instances,
    log: d.log?.length ? mergeLog(p.log, d.log) : p.log,
    changes: p.changes + (moved ? 1 : 0),
  };
}

// mergeLog adds the lines that are new.
export function mergeLog(old: LogLine[], fresh: LogLine[]): LogLine[] {
  const recent = new Set(old.slice(-1000).map((l) => l.id));
  const added = fresh.filter((l) => !recent.has(l.id));
  if (added.length === 0) return old;
  return old.concat(added).slice(-linesMax);
}

// mergeHistory adds samples that are newer than what is there, and forgets those
// that are older than while before the last one.
export function mergeHistory(old: History, fresh: History, whileMs: number): History {
  const last = old.at.at(-1) ?? 0;
  let from = 0;
  while (from < fresh.at.length && fresh.at[from]! <= last) from++;
  if (from === fresh.at.length) return old;
  const end = fresh.at.at(-1)!;
  let drop = 0;
  while (drop < old.at.length && end - old.at[drop]! > whileMs) drop++;
  const had = old.at.length - drop;
  const more = fresh.at.length - from;
  const list = (a: (number | null)[] | undefined, b: (number | null)[] | undefined) => [
    ...(a ? a.slice(drop) : Array<null>(had).fill(null)),
    ...(b ? b.slice(from) : Array<null>(more).fill(null)),
  ];
  const table = (a: Record<string, (number | null)[]>, b: Record<string, (number | null)[]>) => {
    const out: Record<string, (number | null)[]> = {};
    for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) out[name] = list(a[name], b[name]);
    return out;
  };
  return {
    step_seconds: old.step_seconds,
    at: [...old.at.slice(drop), ...fresh.at.slice(from)],
    conditions: table(old.conditions, fresh.conditions),
    resources: table(old.resources, fresh.resources),
    waiting: table(old.waiting, fresh.waiting),
    wait_seconds: table(old.wait_seconds, fresh.wait_seconds),
    hourly_usd: list(old.hourly_usd, fresh.hourly_usd),
  };
}
