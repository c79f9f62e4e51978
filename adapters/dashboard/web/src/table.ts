// Sorting, filtering and windowing of instances. Pure.
import type { Condition, Instance } from "./types";
import { conditions } from "./types";

export type Column = "id" | "resource" | "type" | "zone" | "market" | "condition" | "since" | "task" | "uptime" | "cost";

export interface Sorting {
  column: Column;
  down: boolean;
}

export interface Filter {
  text: string;
  conditions: ReadonlySet<Condition>;
  resource: string;
}

export function cost(i: Instance, now: number): number | undefined {
  if (!i.hourly_usd) return undefined;
  return i.launched ? (i.hourly_usd * Math.max(0, now - i.launched)) / 3_600_000 : 0;
}

function keyOf(i: Instance, column: Column, now: number): string | number {
  switch (column) {
    case "id":
      return i.id;
    case "resource":
      return i.resource;
    case "type":
      return i.type;
    case "zone":
      return i.zone ?? "";
    case "market":
      return i.market;
    case "condition":
      return conditions.indexOf(i.condition);
    case "since":
      return now - i.since;
    case "uptime":
      return i.launched ? now - i.launched : -1;
    case "cost":
      return cost(i, now) ?? -1;
    case "task":
      return (i.task_name ?? i.task ?? "").toLowerCase() || "￿";
  }
}

export function sorted(rows: Iterable<Instance>, by: Sorting, now: number): Instance[] {
  const keyed = Array.from(rows, (row) => ({ row, key: keyOf(row, by.column, now) }));
  const sign = by.down ? -1 : 1;
  keyed.sort((a, b) => {
    if (a.key < b.key) return -sign;
    if (a.key > b.key) return sign;
    return a.row.id < b.row.id ? -1 : 1;
  });
  return keyed.map((k) => k.row);
}

// matches says whether each word of the filter is in some field.
export function matches(i: Instance, f: Filter): boolean {
  if (f.conditions.size > 0 && !f.conditions.has(i.condition)) return false;
  if (f.resource && i.resource !== f.resource) return false;
  if (!f.text.trim()) return true;
  const hay = [i.id, i.resource, i.type, i.zone, i.market, i.condition, i.task, i.task_name, i.worker, i.why].join(" ").toLowerCase();
  return f.text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => hay.includes(word));
}

// visible is which rows are in sight, with some more around them.
export function visible(scrollTop: number, height: number, rowHeight: number, rows: number): { from: number; to: number } {
  const around = 8;
  const from = Math.max(0, Math.min(rows, Math.floor(scrollTop / rowHeight)) - around);
  return { from, to: Math.min(rows, from + Math.ceil(height / rowHeight) + 2 * around + 1) };
}
