import assert from "node:assert/strict";
import { test } from "node:test";
import { clockTime } from "../src/format";
import * as P from "../src/plain";
import { conditions } from "../src/types";
import type { Head, Queue, Resource, Trouble } from "../src/types";

const queue = (change: Partial<Queue>) => ({ known: true, waiting: 2, covered: 2, launching: 0, unmet: 0, ...change }) as Queue;

test("a plan that nobody follows says of when it is", () => {
  assert.equal(P.verdict(queue({})), "2 covered");
  assert.equal(P.verdict(queue({ covered: 1, unmet: 1, reasons: ["full"] })), "1 covered, 1 not served: full");
  assert.equal(P.verdict(queue({}), 90_000), `not known now; at ${clockTime(90_000)}: 2 covered`);
  assert.equal(P.verdict(queue({}), 0), "not known now");
  assert.equal(P.verdict(queue({ known: false }), 90_000), "not looked at yet");
});

test("idle instances of one resource type and of all", () => {
  const all = [{ name: "a", counts: { idle: 2, busy: 1 } }, { name: "b", counts: { busy: 3 } }] as Resource[];
  assert.deepEqual(["", "a", "b", "c"].map((n) => P.idleOf(all, n)), [2, 2, 0, 0]);
});

test("what runs is busy, idle, booting or going", () => {
  const counts = { busy: 1, idle: 2, booting: 4, draining: 8, terminating: 16, vanished: 32 };
  assert.deepEqual(Object.keys(counts).sort(), [...conditions].sort());
  assert.equal(P.going({ counts } as Head), 8 + 16 + 32);
  assert.equal(P.going({ counts: {} } as Head), 0);
});

test("what has its own banner is not told twice", () => {
  const of = (about: string, autoscaler?: string): Trouble => ({ about, autoscaler, wrong: true, found: "found" });
  const source = { last_good: 1, down_since: 0 };
  const head = (change: Partial<Head>) =>
    ({ clearml: source, ec2: source, troubles: [of("disk"), of("clearml", "prod"), of("ec2", "prod"), of("rival", "prod")], ...change }) as Head;
  const told = (h: Head) => P.troublesOf(h).map((t) => t.about);
  assert.deepEqual(told(head({})), ["disk", "clearml", "ec2", "rival"]);
  assert.deepEqual(told(head({ rival: { at: 1, text: "" }, clearml: { last_good: 0, down_since: 0 }, ec2: { last_good: 1, down_since: 2 } })), ["disk"]);
  assert.deepEqual(P.troublesOfAll([head({}), head({})]).map(P.troubleTitle), [
    "Disk: found.",
    "Clearml of prod: found.",
    "Ec2 of prod: found.",
    "Rival of prod: found.",
  ]);
});
