import assert from "node:assert/strict";
import { test } from "node:test";
import { begin, follow, linesMax, mergeHistory, mergeLog } from "../src/live";
import type { Delta, Head, History, Instance, LogLine, Snapshot } from "../src/types";

const head = { name: "prod" } as Head;
const instance = (id: string, condition = "busy") => ({ id, condition }) as Instance;
const line = (n: number) => ({ id: `e.${n}`, at: n, kind: "k", level: "info", text: "" }) as LogLine;
const snapshot: Snapshot = { rev: 4, head, queues: [], resources: [], instances: [instance("a"), instance("b")], log: [line(1)] };

test("a delta changes what it names and nothing else", () => {
  const p = begin(snapshot);
  const d: Delta = { rev: 5, head, instances: [instance("b", "idle"), instance("c")], gone: ["a"], log: [line(1), line(2)] };
  const next = follow(p, d)!;
  assert.deepEqual([...next.instances.keys()].sort(), ["b", "c"]);
  assert.equal(next.instances.get("b")!.condition, "idle");
  assert.deepEqual(
    next.log.map((l) => l.id),
    ["e.1", "e.2"],
  );
  assert.equal(next.queues, p.queues);
  assert.equal(next.changes, p.changes + 1);
});

test("a delta that does not follow is refused", () => {
  const p = begin(snapshot);
  assert.equal(follow(p, { rev: 6, head }), undefined);
  assert.equal(follow(p, { rev: 4, head }), undefined);
});

test("the log keeps its lines over a new snapshot, each once, and not too many", () => {
  const p = begin(snapshot);
  const again = begin({ ...snapshot, log: [line(1), line(2)] }, p);
  assert.deepEqual(
    again.log.map((l) => l.id),
    ["e.1", "e.2"],
  );
  const many = mergeLog(
    again.log,
    Array.from({ length: 3000 }, (_, i) => line(i + 10)),
  );
  assert.equal(many.length, linesMax);
  assert.equal(many.at(-1)!.id, "e.3009");
});

const history = (from: number, to: number, queue: string): History => {
  const at = Array.from({ length: to - from }, (_, i) => (from + i) * 10_000);
  return {
    step_seconds: 10,
    at,
    conditions: { busy: at.map((t) => t / 10_000) },
    resources: {},
    waiting: { [queue]: at.map(() => 1) },
    wait_seconds: {},
    hourly_usd: at.map(() => 2),
  };
};

test("history goes on, drops what is too old, and has a gap for what is new", () => {
  const merged = mergeHistory(history(0, 10, "old"), history(8, 12, "new"), 60_000);
  assert.deepEqual(
    merged.at,
    [5, 6, 7, 8, 9, 10, 11].map((n) => n * 10_000),
  );
  assert.deepEqual(merged.conditions.busy, [5, 6, 7, 8, 9, 10, 11]);
  assert.deepEqual(merged.waiting.new, [null, null, null, null, null, 1, 1]);
  assert.deepEqual(merged.waiting.old, [1, 1, 1, 1, 1, null, null]);
  assert.equal(merged.hourly_usd.length, 7);
});

test("history without anything new is the same", () => {
  const old = history(0, 10, "q");
  assert.equal(mergeHistory(old, history(2, 5, "q"), 60_000), old);
});
