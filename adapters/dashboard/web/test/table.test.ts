import assert from "node:assert/strict";
import { test } from "node:test";
import { cost, matches, sorted, visible } from "../src/table";
import type { Column } from "../src/table";
import type { Condition, Instance } from "../src/types";

const now = 10_000_000;
const make = (id: string, more: Partial<Instance> = {}): Instance => ({
  id,
  resource: "gpu",
  type: "g5.xlarge",
  market: "spot",
  condition: "busy",
  since: now - 1000,
  launched: now - 3_600_000,
  ...more,
});
const none = { text: "", conditions: new Set<Condition>(), resource: "" };

test("every column sorts both ways, and the same rows the same way", () => {
  const rows = [make("c", { condition: "idle", hourly_usd: 1 }), make("a", { task: "x", zone: "z" }), make("b", { hourly_usd: 3, since: now })];
  for (const column of ["id", "resource", "type", "zone", "market", "condition", "since", "task", "uptime", "cost"] as Column[]) {
    const up = sorted(rows, { column, down: false }, now).map((r) => r.id);
    assert.deepEqual(
      sorted([...rows].reverse(), { column, down: false }, now).map((r) => r.id),
      up,
    );
    assert.equal(sorted(rows, { column, down: true }, now).length, 3);
  }
  assert.deepEqual(
    sorted(rows, { column: "cost", down: true }, now).map((r) => r.id),
    ["b", "c", "a"],
  );
  assert.deepEqual(
    sorted(rows, { column: "condition", down: false }, now).map((r) => r.id),
    ["a", "b", "c"],
  );
});

test("a filter wants every word somewhere, and the picked conditions", () => {
  const i = make("i-1", { task_name: "Train ResNet", zone: "us-east-1a" });
  assert.ok(matches(i, none));
  assert.ok(matches(i, { ...none, text: "resnet 1a" }));
  assert.ok(!matches(i, { ...none, text: "resnet 1b" }));
  assert.ok(matches(i, { ...none, conditions: new Set<Condition>(["busy", "idle"]) }));
  assert.ok(!matches(i, { ...none, conditions: new Set<Condition>(["idle"]) }));
  assert.ok(!matches(i, { ...none, resource: "cpu" }));
});

test("an unknown price is no cost of nothing", () => {
  assert.equal(cost(make("a"), now), undefined);
  assert.equal(cost(make("a", { hourly_usd: 2 }), now), 2);
});

test("the rows in sight are always there, and few", () => {
  for (const top of [0, 1, 500, 33_000, 99_999]) {
    const { from, to } = visible(top, 500, 34, 1000);
    assert.ok(from >= 0 && to <= 1000 && to - from < 40, `${top}: ${from}..${to}`);
    const first = Math.min(999, Math.floor(top / 34));
    assert.ok(from <= first && first < to, `${top}: ${from}..${to}`);
  }
  assert.deepEqual(visible(0, 500, 34, 0), { from: 0, to: 0 });
});
