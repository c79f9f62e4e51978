// The log: each event in a sentence.
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { of } from "./api";
import { clockTime, dateTime } from "./format";
import { linesMax } from "./live";
import type { LogLine } from "./types";
import { Panel } from "./ui";

const drawn = 400;

export function Log(props: { name: string; lines: LogLine[]; follow: boolean; setFollow: (follow: boolean) => void }) {
  const [text, setText] = useState("");
  const [level, setLevel] = useState("");
  const box = useRef<HTMLDivElement>(null);
  const shown = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const rank = { info: 0, warn: 1, error: 2 };
    const least = level ? rank[level as LogLine["level"]] : 0;
    return props.lines
      .filter((l) => rank[l.level] >= least && words.every((w) => `${l.kind} ${l.about ?? ""} ${l.text}`.toLowerCase().includes(w)))
      .slice(-drawn);
  }, [props.lines, text, level]);

  useLayoutEffect(() => {
    if (props.follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown, props.follow]);

  const base = "/api/v1" + of(props.name) + "/events";
  return (
    <Panel
      id="log"
      title="Log"
      tools={
        <>
          <a class="button" href={base + "?format=text"} download>
            Text
          </a>
          <a class="button" href={base + "?format=json"} download>
            JSON
          </a>
        </>
      }
    >
      <div class="filters">
        <input type="search" placeholder="Filter the log" aria-label="Filter the log" value={text} onInput={(e) => setText(e.currentTarget.value)} />
        <select aria-label="Least level" value={level} onChange={(e) => setLevel(e.currentTarget.value)}>
          <option value="">everything</option>
          <option value="warn">warnings and errors</option>
          <option value="error">errors</option>
        </select>
        <label class="check">
          <input type="checkbox" checked={props.follow} onChange={(e) => props.setFollow(e.currentTarget.checked)} /> follow
        </label>
        <span class="muted grow">the last {linesMax.toLocaleString("en-US")} events; older ones: ebb events</span>
      </div>
      <div
        class="log"
        ref={box}
        role="log"
        aria-live="off"
        aria-label="Events"
        tabIndex={0}
        onWheel={(e) => e.deltaY < 0 && props.setFollow(false)}
        onKeyDown={(e) => ["ArrowUp", "PageUp", "Home"].includes(e.key) && props.setFollow(false)}
        onTouchMove={() => props.setFollow(false)}
      >
        {shown.map((l) => (
          <div key={l.id} class={`line ${l.level}`}>
            <time dateTime={new Date(l.at).toISOString()} title={dateTime(l.at)}>
              {clockTime(l.at)}
            </time>
            <span class="kind">{l.kind}</span>
            <span class="said">
              {l.about && <b>{l.about}</b>} {l.text}
            </span>
          </div>
        ))}
        {shown.length === 0 && <p class="empty">{props.lines.length ? "No event matches the filter." : "Nothing has happened yet."}</p>}
      </div>
    </Panel>
  );
}
