// The list of autoscalers.
import { useEffect, useRef, useState } from "preact/hooks";
import { Troubles } from "./banners";
import { age, clockTime, dollars, rough, waiting } from "./format";
import { going, troublesOf, troublesOfAll } from "./plain";
import { type State, Stream } from "./stream";
import type { Head, Me } from "./types";
import { Bar, Clock, Panel, stale, useTick } from "./ui";

export function ListPage({ me, link, look }: { me: Me; link: (path: string) => (e: Event) => void; look: () => void }) {
  const [heads, setHeads] = useState<Head[]>();
  const [state, setState] = useState<State>("connecting");
  const clock = useRef(new Clock()).current;
  clock.speed = me.speed;
  useTick(1000);
  useEffect(() => {
    document.title = "Autoscalers – ebb";
    const stream = new Stream("/stream", ["list"], {
      state: setState,
      look,
      event: (_, data) => {
        const { autoscalers } = data as { autoscalers: Head[] };
        if (autoscalers[0]) clock.set(autoscalers[0].now);
        setHeads(autoscalers);
      },
    });
    return () => stream.close();
  }, []);
  const now = clock.now();
  return (
    <>
      <div class="page-head">
        <h1>Autoscalers</h1>
        <span class={`live ${state === "live" ? "on" : state === "broken" ? "off" : "wait"}`}>{state === "live" ? "live" : state === "broken" ? "reconnecting" : "connecting"}</span>
        {me.wizard && (
          <div class="actions">
            <a class="button" href="/new" onClick={link("/new")}>
              New configuration…
            </a>
          </div>
        )}
      </div>
      <div class="banners" role="status">
        <Troubles of={troublesOfAll(heads ?? [])} />
      </div>
      <Panel title="In this process" count={heads?.length ?? ""}>
        <ul class="cards">
          {heads?.map((h) => {
            const path = "/a/" + encodeURIComponent(h.name);
            const old = stale(h, now, me.speed);
            return (
              <li key={h.name} class="card">
                <a href={path} onClick={link(path)} class="card-link">
                  <strong>{h.name}</strong>
                </a>
                <span class={`live ${old === undefined ? "on" : "wait"}`}>{old === undefined ? "acts" : old === Infinity ? "no status yet" : `status ${rough(old)} old`}</span>
                <Bar counts={h.counts} max={h.running} launching={0} label={`${h.running} instances`} />
                <dl class="numbers">
                  <div>
                    <dt>running</dt>
                    <dd>{h.running}</dd>
                  </div>
                  <div>
                    <dt>busy</dt>
                    <dd>{h.counts.busy ?? 0}</dd>
                  </div>
                  <div>
                    <dt>idle</dt>
                    <dd>{h.counts.idle ?? 0}</dd>
                  </div>
                  <div>
                    <dt>booting</dt>
                    <dd>{h.counts.booting ?? 0}</dd>
                  </div>
                  {going(h) > 0 && (
                    <div>
                      <dt>going</dt>
                      <dd>{going(h)}</dd>
                    </div>
                  )}
                  <div>
                    <dt>waiting</dt>
                    <dd>{waiting(h.waiting, h.waiting_unknown)}</dd>
                  </div>
                  <div>
                    <dt>oldest wait</dt>
                    <dd>{age(now, h.wait_since)}</dd>
                  </div>
                  <div>
                    <dt>est. an hour</dt>
                    <dd>{dollars(h.cost.hourly_usd)}</dd>
                  </div>
                </dl>
                <p class="card-note">
                  {h.rival && <span class="tag bad">two act for it</span>}
                  {h.pause && <span class="tag warn">paused{h.pause.until ? ` until ${clockTime(h.pause.until)}` : ""}</span>}
                  {h.clearml.down_since ? <span class="tag bad">ClearML fails for {rough(now - h.clearml.down_since)}</span> : null}
                  {h.ec2.down_since ? <span class="tag bad">EC2 fails for {rough(now - h.ec2.down_since)}</span> : null}
                  {h.problem && !troublesOf(h).some((t) => t.wrong) && <span class="tag">{h.problem}</span>}
                </p>
              </li>
            );
          })}
        </ul>
        {heads?.length === 0 && <p class="empty">No autoscaler is configured here.</p>}
      </Panel>
    </>
  );
}
