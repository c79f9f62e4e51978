import assert from "node:assert/strict";
import { test } from "node:test";
import * as F from "../src/format";

test("durations", () => {
  assert.deepEqual([-5, 0, 59_999, 60_000, 3_599_000, 3_600_000, 90_061_000].map(F.duration), ["0s", "0s", "59s", "1m 00s", "59m 59s", "1h 00m", "1d 1h"]);
  assert.deepEqual([999, 61_000, 3_660_000, 90_061_000].map(F.rough), ["0s", "1m", "1h 1m", "1d 1h"]);
  assert.equal(F.age(1000, 0), "–");
});

test("spans are as they were set", () => {
  assert.deepEqual([0, 60_000, 90_000, 900_000, 5_400_000, 90_000_000].map(F.span), ["0s", "1m", "1m 30s", "15m", "1h 30m", "25h"]);
});

test("hours of instances", () => {
  assert.deepEqual([0, 0.01, 12.34, 1234.5].map(F.hoursOf), ["0 h", "<0.1 h", "12.3 h", "1,235 h"]);
});

test("the name in an address, also one that cannot be decoded", () => {
  assert.deepEqual(["/", "/new", "/a/prod", "/a/a%20b%2Fc", "/a/%E0%A4"].map(F.autoscalerOf), [undefined, undefined, "prod", "a b/c", "%E0%A4"]);
});

test("what nobody knows does not look like nothing", () => {
  assert.deepEqual([F.waiting(0, 0), F.waiting(1234, 0), F.waiting(0, 1), F.waiting(3, 2)], ["0", "1,234", "?", "3 + ?"]);
});

test("money", () => {
  assert.deepEqual([0, 0.001, 0.456, 12, 12345.6].map(F.dollars), ["$0.00", "<$0.01", "$0.46", "$12.00", "$12,346"]);
});

test("links keep what they are about in its place", () => {
  assert.equal(F.fill("https://x/{id}", "a/b c"), "https://x/a%2Fb%20c");
  assert.equal(F.fill(undefined, "a"), undefined);
  assert.equal(F.fill("https://x/{id}", undefined), undefined);
});
