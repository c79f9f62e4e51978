import assert from "node:assert/strict";
import { test } from "node:test";
import * as A from "../src/answers";

const step: A.Step = {
  id: "resource",
  title: "Resource",
  repeat: "a[0].resources",
  fields: [
    { id: "a[0].resources[].market", label: "Market", kind: "choice", default: "spot" },
    { id: "a[0].resources[].fallback", label: "Fallback", kind: "bool", when: [{ field: "a[0].resources[].market", is: ["spot"] }] },
    { id: "a[0].resources[].patience", label: "Patience", kind: "duration", default: "5m", when: [{ field: "a[0].resources[].fallback", is: ["true"] }] },
  ],
};

test("a step that repeats is asked about one element", () => {
  const second = A.stepAt(step, 1);
  assert.deepEqual(
    second.fields.map((f) => f.id),
    ["a[0].resources[1].market", "a[0].resources[1].fallback", "a[0].resources[1].patience"],
  );
  assert.equal(second.fields[1]!.when![0]!.field, "a[0].resources[1].market");
});

test("what is not asked counts as not answered", () => {
  const { fields } = A.stepAt(step, 0);
  const [market, fallback, patience] = fields.map((f) => f.id) as [string, string, string];
  assert.ok(A.asked(fields[1]!, fields, {}), "the default of the market is spot");
  assert.ok(!A.asked(fields[2]!, fields, {}));
  assert.ok(A.asked(fields[2]!, fields, { [fallback]: "true" }));
  assert.ok(!A.asked(fields[2]!, fields, { [fallback]: "true", [market]: "on_demand" }));
  assert.deepEqual(A.withDefaults([{ ...step, fields }], { [fallback]: true }), { [market]: "spot", [fallback]: true, [patience]: "5m" });
});

test("a default that holds anyway is not written", () => {
  const fields: A.Field[] = [
    { id: "poll", label: "", kind: "duration", default: "1m", implied: true },
    { id: "key", label: "", kind: "secret", default: "${ENV:KEY}" },
    { id: "more", label: "", kind: "text", default: "x", when: [{ field: "poll", is: ["1m"] }] },
  ];
  assert.deepEqual(A.withDefaults([{ id: "s", title: "", fields }], {}), { key: "${ENV:KEY}", more: "x" });
});

test("a secret that was not told has no default", () => {
  const fields: A.Field[] = [{ id: "key", label: "", kind: "secret", default: "${ENV:KEY}" }];
  const all = { id: "s", title: "", fields };
  assert.equal(A.withoutDefault(all, new Set(["other"])), all);
  const told = A.withoutDefault(all, new Set(["key"]));
  assert.deepEqual(A.withDefaults([told], {}), {});
  assert.equal(told.fields[0]!.suggest, "${ENV:KEY}");
  assert.equal(fields[0]!.default, "${ENV:KEY}");
});

test("what becomes of the autoscalers that run", () => {
  const running = ["prod", "research"];
  assert.deepEqual(A.standing({ "autoscalers[0].name": "prod" }, running), { changed: ["prod"], added: [], kept: ["research"] });
  assert.deepEqual(A.standing({ "autoscalers[0].name": "copy", "autoscalers[1].name": "research" }, running), {
    changed: ["research"],
    added: ["copy"],
    kept: ["prod"],
  });
  assert.deepEqual(A.standing({ "autoscalers[0].aws.region": "x" }, running), { changed: [], added: [], kept: running });
});

test("not is the other way round", () => {
  const f: A.Field = { id: "x", label: "", kind: "text", when: [{ field: "role", is: ["true"], not: true }] };
  assert.ok(A.asked(f, [f], {}));
  assert.ok(!A.asked(f, [f], { role: true }));
});

test("text that says the same spoils nothing", () => {
  const a: A.Answers = { tags: { a: "1,2", b: "3" }, list: ["x", "y"] };
  assert.equal(A.set(a, "list", "x, y"), a);
  assert.equal(A.set(a, "tags", "a=1,2,b=3"), a);
  assert.deepEqual(A.set(a, "list", ""), { tags: a.tags });
  assert.equal(A.text({ n: 4, b: false }, "n") + A.text({ n: 4, b: false }, "b"), "4false");
});

test("elements are counted, and those behind a removed one move up", () => {
  const a: A.Answers = { "r[0].n": "a", "r[1].n": "b", "r[2].n": "c", "r[2].v[0].d": "x", other: 1 };
  assert.equal(A.elements(a, "r"), 3);
  assert.deepEqual(A.remove(a, "r", 1), { "r[0].n": "a", "r[1].n": "c", "r[1].v[0].d": "x", other: 1 });
});

test("a problem is about a field, its parts, and not its namesakes", () => {
  const p = (path: string): A.Problem => ({ path, message: "", fix: "" });
  assert.ok(A.about(p("a.b"), "a.b") && A.about(p("a.b[0]"), "a.b") && A.about(p("a.b.c"), "a.b"));
  assert.ok(!A.about(p("a.bc"), "a.b"));
});
