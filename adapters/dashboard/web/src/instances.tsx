// The table of instances. Only the rows in sight are drawn.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { age, count, dollars, fill, rough } from "./format";
import type { Column, Sorting } from "./table";
import { cost, matches, sorted, visible } from "./table";
import type { Condition, Instance, Links } from "./types";
import { conditions } from "./types";
import { Badge, Clock, Out, Panel, useTick } from "./ui";

const rowHeight = 34;

const columns: { key: Column; label: string; class?: string; number?: boolean }[] = [
  { key: "id", label: "Instance" },
  { key: "condition", label: "Condition" },
  { key: "since", label: "For", number: true },
  { key: "resource", label: "Resource type", class: "wide" },
  { key: "type", label: "Type", class: "mid" },
  { key: "zone", label: "Zone", class: "wide" },
  { key: "market", label: "Market", class: "wide" },
  { key: "task", label: "Task", class: "mid" },
  { key: "uptime", label: "Uptime", class: "mid", number: true },
  { key: "cost", label: "Cost", class: "wide", number: true },
];

export function Instances(props: {
  instances: Map<string, Instance>;
  changes: number;
  resources: string[];
  links: Links;
  clock: Clock;
  open: (id: string) => void;
  tools?: ComponentChildren;
}) {
  useTick(1000);
  const [sort, setSort] = useState<Sorting>({ column: "condition", down: false });
  const [text, setText] = useState("");
  const [picked, setPicked] = useState<ReadonlySet<Condition>>(new Set());
  const [resource, setResource] = useState("");
  const box = useRef<HTMLDivElement>(null);
  const [window_, setWindow] = useState({ top: 0, height: 480 });
  const now = props.clock.now();

  const shown = useMemo(() => {
    const filter = { text, conditions: picked, resource };
    const rows: Instance[] = [];
    for (const i of props.instances.values()) if (matches(i, filter)) rows.push(i);
    return sorted(rows, sort, props.clock.now());
  }, [props.instances, props.changes, text, picked, resource, sort]);

  const counts = useMemo(() => {
    const all: Partial<Record<Condition, number>> = {};
    for (const i of props.instances.values()) all[i.condition] = (all[i.condition] ?? 0) + 1;
    return all;
  }, [props.instances, props.changes]);

  useLayoutEffect(() => {
    const measure = () => box.current && setWindow({ top: box.current.scrollTop, height: box.current.clientHeight });
    measure();
    const resize = new ResizeObserver(measure);
    resize.observe(box.current!);
    return () => resize.disconnect();
  }, []);
  useEffect(() => {
    box.current!.scrollTop = 0;
  }, [text, picked, resource, sort]);

  const { from, to } = visible(window_.top, window_.height, rowHeight, shown.length);
  const order = (column: Column) => setSort((s) => ({ column, down: s.column === column ? !s.down : false }));
  const toggle = (c: Condition) =>
    setPicked((before) => {
      const after = new Set(before);
      if (!after.delete(c)) after.add(c);
      return after;
    });

  return (
    <Panel
      id="instances"
      title="Instances"
      count={shown.length === props.instances.size ? props.instances.size : `${shown.length} of ${props.instances.size}`}
      tools={props.tools}
    >
      <div class="filters" role="search" aria-label="Filter instances">
        <input
          id="filter"
          type="search"
          placeholder="Filter: id, task, zone, …"
          aria-label="Filter instances by text"
          value={text}
          onInput={(e) => setText(e.currentTarget.value)}
        />
        <select aria-label="Filter instances by resource type" value={resource} onChange={(e) => setResource(e.currentTarget.value)}>
          <option value="">all resource types</option>
          {props.resources.map((r) => (
            <option key={r}>{r}</option>
          ))}
        </select>
        <div class="chips" role="group" aria-label="Filter instances by condition">
          {conditions.map((c) => (
            <button type="button" key={c} class={`chip is-${c}`} aria-pressed={picked.has(c)} onClick={() => toggle(c)}>
              {c} <b>{counts[c] ?? 0}</b>
            </button>
          ))}
        </div>
        <span class="hidden" role="status">
          {text || picked.size || resource ? count(shown.length, "instance") + " shown" : ""}
        </span>
      </div>
      <div
        class="scroll"
        style={{ height: `clamp(180px, ${34 + shown.length * rowHeight}px, min(62vh, 560px))` }}
        ref={box}
        tabIndex={0}
        role="region"
        aria-label="Instances, scrollable"
        onScroll={(e) => setWindow({ top: e.currentTarget.scrollTop, height: e.currentTarget.clientHeight })}
      >
        <table class="grid" aria-rowcount={shown.length + 1}>
          <thead>
            <tr aria-rowindex={1}>
              {columns.map((c) => (
                <th
                  key={c.key}
                  scope="col"
                  class={`col-${c.key} ${c.class ?? ""} ${c.number ? "number" : ""}`}
                  aria-sort={sort.column === c.key ? (sort.down ? "descending" : "ascending") : undefined}
                >
                  <button type="button" onClick={() => order(c.key)}>
                    {c.label}
                    <span aria-hidden="true" class="arrow">
                      {sort.column === c.key ? (sort.down ? "↓" : "↑") : ""}
                    </span>
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {from > 0 && <tr aria-hidden="true" class="space" style={{ height: from * rowHeight + "px" }} />}
            {shown.slice(from, to).map((i, at) => (
              <Row key={i.id} i={i} index={from + at + 2} now={now} links={props.links} open={props.open} />
            ))}
            {to < shown.length && <tr aria-hidden="true" class="space" style={{ height: (shown.length - to) * rowHeight + "px" }} />}
          </tbody>
        </table>
        {shown.length === 0 && (
          <p class="empty">{props.instances.size === 0 ? "No instance runs. One is launched when tasks wait." : "No instance matches the filter."}</p>
        )}
      </div>
    </Panel>
  );
}

function Row({ i, index, now, links, open }: { i: Instance; index: number; now: number; links: Links; open: (id: string) => void }) {
  const aws = fill(links.instance, i.id);
  const spent = cost(i, now);
  return (
    <tr aria-rowindex={index}>
      <td class="col-id">
        <button type="button" class="cell-button mono" onClick={() => open(i.id)} aria-label={`Details of ${i.id}`}>
          {i.id}
        </button>
        {aws && (
          <a class="out" href={aws} target="_blank" rel="noopener noreferrer" aria-label={`${i.id} in the AWS console`} title="AWS console">
            ↗
          </a>
        )}
      </td>
      <td class="col-condition">
        <Badge condition={i.condition} />
        {i.notice && (
          <span class="flag" title={`EC2 announced: ${i.notice}`}>
            {" "}
            ⚠<span class="hidden"> EC2 announced: {i.notice}</span>
          </span>
        )}
      </td>
      <td class="number">{age(now, i.since)}</td>
      <td class="wide">{i.resource}</td>
      <td class="mid mono">{i.type}</td>
      <td class="wide">{i.zone || "–"}</td>
      <td class="wide">{i.market === "on_demand" ? "on demand" : i.market}</td>
      <td class="mid col-task" title={i.why || i.task_name || i.task}>
        {i.task ? <Out href={fill(links.task, i.task)}>{i.task_name || i.task}</Out> : <span class="muted">{i.why || "–"}</span>}
      </td>
      <td class="mid number">{i.launched ? rough(now - i.launched) : "–"}</td>
      <td class="wide number">{spent === undefined ? <span class="muted">unknown</span> : dollars(spent)}</td>
    </tr>
  );
}
