// What the page says in words. Pure.
import { clockTime } from "./format";
import type { Head, Queue, Resource, Trouble } from "./types";

// verdict says why the tasks of a queue wait. A plan that is not followed any more,
// since nobody knows how things stand, says of when it is; asOf is undefined for one
// that is, 0 when nobody knows.
export function verdict(q: Queue, asOf?: number): string {
  if (!q.known) return "not looked at yet";
  const now = planned(q);
  if (asOf === undefined) return now;
  return asOf ? `not known now; at ${clockTime(asOf)}: ${now}` : "not known now";
}

function planned(q: Queue): string {
  if (!q.waiting) return "nothing waits";
  const parts = [];
  if (q.covered) parts.push(`${q.covered} covered`);
  if (q.launching) parts.push(`${q.launching} launching`);
  if (q.unmet) parts.push(`${q.unmet} not served`);
  const numbers = parts.join(", ") || "about to be looked at";
  return q.reasons?.length && q.unmet ? `${numbers}: ${q.reasons[0]}` : numbers;
}

// idleOf counts the idle instances of a resource type, or of all for "".
export function idleOf(resources: Resource[], name: string): number {
  return resources.reduce((n, r) => n + (name === "" || r.name === name ? (r.counts.idle ?? 0) : 0), 0);
}

// going counts the instances that run and will not work again.
export function going(h: Head): number {
  return (h.counts.draining ?? 0) + (h.counts.terminating ?? 0) + (h.counts.vanished ?? 0);
}

// troublesOf are the troubles that nothing else on the page tells: an outage of a
// source and a rival have their own place, and a source that has not been asked yet is
// none.
export function troublesOf(head: Head): Trouble[] {
  return head.troubles.filter((t) => {
    if (t.about === "rival") return !head.rival;
    if (t.about !== "clearml" && t.about !== "ec2") return true;
    const source = head[t.about];
    return source.last_good > 0 && !source.down_since;
  });
}

// troublesOfAll are those of several autoscalers, each once.
export function troublesOfAll(heads: Head[]): Trouble[] {
  const all = new Map(heads.flatMap(troublesOf).map((t) => [troubleTitle(t), t]));
  return [...all.values()];
}

// troubleTitle is a trouble in one line.
export function troubleTitle(t: Trouble): string {
  const about = t.about[0]!.toUpperCase() + t.about.slice(1);
  return `${about}${t.autoscaler ? ` of ${t.autoscaler}` : ""}: ${t.found}.`;
}
