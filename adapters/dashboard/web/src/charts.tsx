// Charts over time, drawn by uPlot on a canvas.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { get, of } from "./api";
import { clockTime, rough } from "./format";
import { mergeHistory } from "./live";
import type { History } from "./types";
import { conditions } from "./types";
import { Panel, Wrong } from "./ui";

type Values = (number | null)[];

export interface Line {
  name: string;
  values: Values;
  color: string;
}

const ranges: [string, string, number][] = [
  ["15m", "15 min", 900_000],
  ["1h", "1 h", 3_600_000],
  ["6h", "6 h", 21_600_000],
  ["24h", "24 h", 86_400_000],
];

// waits are the steps of an axis of seconds: each is a whole number of what it is labelled in.
const waits = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000];

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const palette = 8;

function colorAt(index: number): string {
  return color(`--series-${(index % palette) + 1}`);
}

// said is a value; what nobody knows is no number.
function said(v: number | null | undefined, show: (v: number) => string): string {
  return v === null || v === undefined ? "–" : show(v);
}

// stack is each line with those below it added.
function stack(lines: Line[]): Values[] {
  const sum: number[] = [];
  return lines.map((line) =>
    line.values.map((v, i) => {
      sum[i] = (sum[i] ?? 0) + (v ?? 0);
      return v === null ? null : sum[i]!;
    }),
  );
}

function Chart(props: { label: string; at: number[]; lines: Line[]; stacked: boolean; steps?: number[]; show: (v: number) => string; theme: string; begin: number; end: number }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const names = props.lines.map((l) => l.name).join("\n");

  useEffect(() => {
    const box = host.current!;
    const p = latest.current;
    const grid = { stroke: color("--line"), width: 1 };
    const axis = { stroke: color("--muted"), grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const drawn = p.stacked ? [...p.lines].reverse() : p.lines;
    const value = (line: Line) => (_: uPlot, __: number | null, ___: number, index: number | null) => {
      const now = latest.current.lines.find((l) => l.name === line.name)?.values;
      return said(index === null ? now?.at(-1) : now?.[index], latest.current.show);
    };
    const made = new uPlot(
      {
        width: box.clientWidth || 300,
        height: 168,
        padding: [8, 8, 0, 0],
        legend: { show: true, live: true, markers: { width: 0, fill: (_, i) => drawn[i - 1]?.color ?? "" } },
        cursor: { y: false, points: { size: 5 } },
        scales: { x: { range: () => [latest.current.begin / 1000, latest.current.end / 1000] }, y: { range: (_, __, max) => [0, Math.max(1, max * 1.08)] } },
        axes: [
          { ...axis, size: 24, space: 56, values: (_, ticks) => ticks.map((t) => clockTime(t * 1000).slice(0, latest.current.end - latest.current.begin < 600_000 ? 8 : 5)) },
          { ...axis, size: 44, ...(p.steps ? { incrs: p.steps } : {}), values: (_, ticks) => ticks.map((t) => (Number.isInteger(t) || t > 10 ? p.show(t) : "")) },
        ],
        series: [
          { value: (_, v) => (v === null ? "" : clockTime(v * 1000)) },
          ...drawn.map((line) => ({
            label: line.name,
            stroke: line.color,
            fill: p.stacked ? line.color : undefined,
            width: p.stacked ? 1 : 1.75,
            points: { show: false },
            value: value(line),
          })),
        ],
      },
      data(p),
      box,
    );
    plot.current = made;
    const resize = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height: 168 }));
    resize.observe(box);
    return () => {
      resize.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [names, props.stacked, props.theme]);

  useEffect(() => plot.current?.setData(data(props)), [props.at, props.lines]);

  const last = props.lines.map((l) => `${l.name} ${said(l.values.at(-1), props.show)}`).join(", ");
  return (
    <figure class="chart">
      <figcaption>{props.label}</figcaption>
      <div ref={host} class="plot" role="img" aria-label={`${props.label}, now: ${last || "nothing yet"}`} />
    </figure>
  );
}

function data(p: { at: number[]; lines: Line[]; stacked: boolean }): uPlot.AlignedData {
  const values = p.stacked ? stack(p.lines).reverse() : p.lines.map((l) => l.values);
  return [p.at.map((t) => t / 1000), ...values] as uPlot.AlignedData;
}

function byName(table: Record<string, Values>, order: string[]): Line[] {
  const names = [...order.filter((n) => table[n]), ...Object.keys(table).filter((n) => !order.includes(n)).sort()];
  return names.map((name, i) => ({ name, values: table[name]!, color: colorAt(i) }));
}

export function Charts(props: { name: string; fresh?: History; queues: string[]; resources: string[]; theme: string }) {
  const [range, setRange] = useState("1h");
  const [by, setBy] = useState<"condition" | "resource type">("condition");
  const [history, setHistory] = useState<History>();
  const [error, setError] = useState<unknown>();
  const span = ranges.find((r) => r[0] === range)![2];
  const fine = span <= 3_600_000;

  useEffect(() => {
    let gone = false;
    const load = () =>
      get<History>(`${of(props.name)}/history?range=${range}`).then(
        (h) => {
          if (gone) return;
          setHistory(h);
          setError(undefined);
        },
        (problem) => !gone && setError(problem),
      );
    load();
    const timer = setInterval(load, fine ? 120_000 : 15_000);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [props.name, range]);

  useEffect(() => {
    if (props.fresh && fine) setHistory((h) => h && mergeHistory(h, props.fresh!, span));
  }, [props.fresh]);

  const h = history;
  const instances: Line[] = !h
    ? []
    : by === "condition"
      ? conditions.map((c) => ({ name: c, values: h.conditions[c] ?? [], color: color(`--${c}`) }))
      : byName(h.resources, props.resources);
  const at = h?.at ?? [];
  // What is not known yet takes no room, but two minutes are the least.
  const end = at.at(-1) ?? Date.now();
  const begin = Math.max(end - span, Math.min(at[0] ?? end, end - 120_000));
  return (
    <Panel
      id="charts"
      title="Over time"
      tools={
        <>
          <div class="segments" role="group" aria-label="Stack instances by">
            {(["condition", "resource type"] as const).map((b) => (
              <button type="button" key={b} aria-pressed={by === b} onClick={() => setBy(b)}>
                {b}
              </button>
            ))}
          </div>
          <div class="segments" role="group" aria-label="Range">
            {ranges.map(([key, label]) => (
              <button type="button" key={key} aria-pressed={range === key} onClick={() => setRange(key)}>
                {label}
              </button>
            ))}
          </div>
        </>
      }
    >
      {error !== undefined && <Wrong error={error} />}
      <div class="charts">
        <Chart label={`Instances by ${by}`} at={at} lines={instances} stacked show={(v) => String(v)} theme={props.theme} begin={begin} end={end} />
        <Chart label="Waiting tasks by queue" at={at} lines={h ? byName(h.waiting, props.queues) : []} stacked={false} show={(v) => String(v)} theme={props.theme} begin={begin} end={end} />
        <Chart label="Wait of the first in line" at={at} lines={h ? byName(h.wait_seconds, props.queues) : []} stacked={false} steps={waits} show={(v) => rough(v * 1000)} theme={props.theme} begin={begin} end={end} />
      </div>
    </Panel>
  );
}
