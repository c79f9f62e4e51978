// The page of one autoscaler.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, of } from "./api";
import { Banners } from "./banners";
import { Charts } from "./charts";
import { DrainDialog, ExportDialog, IdleDialog, InstanceDialog, PauseDialog, ReloadDialog, ResumeDialog, WhyDialog } from "./dialogs";
import { count, dollars, hoursOf, rough, span, waiting, words } from "./format";
import { Instances } from "./instances";
import { begin, follow, type Picture } from "./live";
import { Log } from "./log";
import { verdict } from "./plain";
import { type State, Stream } from "./stream";
import type { Delta, Head, History, Links, Me, Queue, Resource, Snapshot } from "./types";
import { conditions } from "./types";
import { Bar, Clock, Panel, stale, useTick } from "./ui";

type Open =
  | { what: "why"; queue: string }
  | { what: "instance"; id: string }
  | { what: "drain"; id: string }
  | { what: "pause" | "resume" | "idle" | "reload" | "export" };

export function AutoscalerPage(props: { name: string; me: Me; theme: string; signIn: (then: () => void) => void; go: (path: string) => void; link: (path: string) => (e: Event) => void; look: () => void }) {
  const { name, me } = props;
  const [picture, setPicture] = useState<Picture>();
  const [state, setState] = useState<State>("connecting");
  const [links, setLinks] = useState<Links>({});
  const [missing, setMissing] = useState<string>();
  const [fresh, setFresh] = useState<History>();
  const [open, setOpen] = useState<Open>();
  const [following, setFollowing] = useState(true);
  const [said, setSaid] = useState("");
  const clock = useRef(new Clock()).current;
  const held = useRef<Picture | undefined>(undefined);
  clock.speed = me.speed;

  useEffect(() => {
    held.current = undefined;
    setPicture(undefined);
    setMissing(undefined);
    const find = () =>
      get<{ links: Links }>(of(name)).then(
        (a) => setLinks(a.links),
        (e) => {
          setMissing(`${e.message}. ${e.fix}`);
          if (e.status !== 404) return;
          held.current = undefined; // it was here, and is not configured any more
          setPicture(undefined);
        },
      );
    void find();
    const stream = new Stream(of(name) + "/stream", ["snapshot", "delta"], {
      state: setState,
      look: () => {
        props.look();
        void find();
      },
      event: (kind, data) => {
        const next = kind === "snapshot" ? begin(data as Snapshot, held.current) : held.current && follow(held.current, data as Delta);
        if (!next) {
          stream.restart();
          return;
        }
        clock.set(next.head.now);
        held.current = next;
        setPicture(next);
        const d = data as Delta;
        if (kind === "delta" && d.history) setFresh(d.history);
        const loud = kind === "delta" && d.log?.filter((l) => l.level === "error").at(-1);
        if (loud) setSaid(`${loud.about ?? ""} ${loud.text}`);
      },
    });
    return () => stream.close();
  }, [name]);

  useEffect(() => {
    document.title = picture ? `${picture.head.running} running, ${waiting(picture.head.waiting, picture.head.waiting_unknown)} waiting – ${name} – ebb` : `${name} – ebb`;
  }, [picture?.head.running, picture?.head.waiting, picture?.head.waiting_unknown, name]);

  // Whoever may not act is asked for the token first.
  const act = (what: Open) => (me.act ? setOpen(what) : props.signIn(() => setOpen(what)));
  const paused = picture?.head.pause;
  const pauseOrResume = () => act({ what: paused ? "resume" : "pause" });
  useKeys({
    q: () => jump("queues"),
    r: () => jump("resources"),
    c: () => jump("charts"),
    i: () => jump("instances"),
    l: () => jump("log"),
    f: () => setFollowing((now) => !now),
    p: pauseOrResume,
    "/": () => document.getElementById("filter")?.focus(),
  });

  const resources = useMemo(() => picture?.resources.map((r) => r.name) ?? [], [picture?.resources]);
  const queues = useMemo(() => picture?.queues.map((q) => q.name) ?? [], [picture?.queues]);
  if (missing && !picture) return <p class="plain">{missing}</p>;
  const close = () => setOpen(undefined);
  const instance = open && "id" in open ? picture?.instances.get(open.id) : undefined;
  const why = open?.what === "why" ? picture?.queues.find((q) => q.name === open.queue) : undefined;
  return (
    <>
      <div class="page-head">
        <h1>{name}</h1>
        <Freshness head={picture?.head} state={state} clock={clock} speed={me.speed} />
        <div class="actions">
          <button type="button" onClick={pauseOrResume}>
            {paused ? "Resume" : "Pause…"}
          </button>
          <button type="button" onClick={() => act({ what: "idle" })}>
            Shut down idle…
          </button>
          <button type="button" onClick={() => act({ what: "export" })}>
            Export…
          </button>
          {me.wizard && (
            <button type="button" onClick={() => (me.act ? props.go(`/new?from=${encodeURIComponent(name)}`) : props.signIn(() => props.go(`/new?from=${encodeURIComponent(name)}`)))}>
              Clone
            </button>
          )}
          {me.wizard && (
            <a class="button" href="/new" onClick={props.link("/new")}>
              New configuration…
            </a>
          )}
          <button type="button" onClick={() => act({ what: "reload" })}>
            Reload…
          </button>
        </div>
      </div>
      <p class="hidden" role="status">
        {said}
      </p>
      <div class="banners" role="status">
        {picture && <Banners picture={picture} state={state} clock={clock} speed={me.speed} />}
      </div>
      {!picture ? (
        <Skeleton />
      ) : (
        <>
          <Tiles head={picture.head} clock={clock} />
          <div class="columns">
            <Queues queues={picture.queues} head={picture.head} clock={clock} speed={me.speed} why={(queue) => setOpen({ what: "why", queue })} />
            <Resources resources={picture.resources} cost={picture.head.cost} clock={clock} />
          </div>
          <Charts name={name} fresh={fresh} queues={queues} resources={resources} theme={props.theme} />
          <Instances
            instances={picture.instances}
            changes={picture.changes}
            resources={resources}
            links={links}
            clock={clock}
            open={(id) => setOpen({ what: "instance", id })}
          />
          <Log name={name} lines={picture.log} follow={following} setFollow={setFollowing} />
        </>
      )}
      {why && <WhyDialog name={name} queue={why} clock={clock} close={close} />}
      {open?.what === "instance" && instance && (
        <InstanceDialog instance={instance} links={links} clock={clock} close={close} drain={() => act({ what: "drain", id: instance.id })} />
      )}
      {open?.what === "drain" && instance && <DrainDialog name={name} instance={instance} close={close} />}
      {open?.what === "pause" && <PauseDialog name={name} close={close} />}
      {open?.what === "resume" && <ResumeDialog name={name} close={close} />}
      {open?.what === "idle" && <IdleDialog name={name} resources={picture?.resources ?? []} close={close} />}
      {open?.what === "export" && <ExportDialog name={name} close={close} />}
      {open?.what === "reload" && <ReloadDialog close={close} />}
    </>
  );
}

function jump(id: string): void {
  const section = document.getElementById(id);
  section?.scrollIntoView({ block: "start" });
  section?.focus({ preventScroll: true });
}

// useKeys listens for single keys, except where something is typed or a dialog is
// open.
export function useKeys(keys: Record<string, () => void>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      const at = e.target as HTMLElement;
      if (e.ctrlKey || e.metaKey || e.altKey || at.closest("input, textarea, select, dialog")) return;
      const run = latest.current[e.key];
      if (run) {
        e.preventDefault();
        run();
      }
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}

export function Freshness({ head, state, clock, speed }: { head?: Head; state: State; clock: Clock; speed: number }) {
  useTick(1000);
  if (state !== "live" || !head) {
    return <span class={`live ${state === "broken" ? "off" : "wait"}`}>{state === "broken" ? "reconnecting" : "connecting"}</span>;
  }
  const old = stale(head, clock.now(), speed);
  if (old !== undefined) return <span class="live wait">{old === Infinity ? "no status yet" : `status ${rough(old)} old`}</span>;
  return <span class="live on">live</span>;
}

function Tile({ label, value, note, mark }: { label: string; value: string; note?: string; mark?: string }) {
  return (
    <div class="tile">
      <dt>
        {mark && <span class={`dot is-${mark}`} aria-hidden="true" />}
        {label}
      </dt>
      <dd>
        <span class="value">{value}</span>
        {note && <span class="note">{note}</span>}
      </dd>
    </div>
  );
}

function Tiles({ head, clock }: { head: Head; clock: Clock }) {
  useTick(1000);
  const n = (c: keyof Head["counts"]) => (head.counts[c] ?? 0).toLocaleString("en-US");
  const { cost } = head;
  const known = (unknown: number) => (unknown ? `estimated; ${count(unknown, "price")} not known` : "estimated");
  return (
    <dl class="tiles" aria-label="Now">
      <Tile label="running" value={head.running.toLocaleString("en-US")} />
      <Tile label="busy" value={n("busy")} mark="busy" />
      <Tile label="idle" value={n("idle")} mark="idle" />
      <Tile label="booting" value={n("booting")} mark="booting" />
      <Tile label="draining" value={((head.counts.draining ?? 0) + (head.counts.terminating ?? 0)).toLocaleString("en-US")} mark="draining" />
      {(head.counts.vanished ?? 0) > 0 && <Tile label="vanished" value={n("vanished")} mark="vanished" />}
      <Tile label="waiting tasks" value={waiting(head.waiting, head.waiting_unknown)} note={head.waiting_unknown ? `${count(head.waiting_unknown, "queue")} not known` : undefined} />
      <Tile label="oldest wait" value={head.wait_since ? rough(clock.now() - head.wait_since) : "–"} />
      <Tile label="cost an hour" value={dollars(cost.hourly_usd)} note={known(cost.unknown_now)} />
      <Tile label="cost today, UTC" value={dollars(cost.today_usd)} note={known(cost.unknown_today)} />
    </dl>
  );
}

function Queues({ queues, head, clock, speed, why }: { queues: Queue[]; head: Head; clock: Clock; speed: number; why: (queue: string) => void }) {
  useTick(1000);
  const now = clock.now();
  const old = stale(head, now, speed) !== undefined;
  return (
    <Panel id="queues" title="Queues" count={queues.length}>
      <div class="overflow">
        <table class="plain-table">
          <thead>
            <tr>
              <th scope="col">Queue</th>
              <th scope="col" class="number">
                Waiting
              </th>
              <th scope="col" class="number">
                Oldest
              </th>
              <th scope="col" class="aside">Served by</th>
              <th scope="col">Why they wait</th>
            </tr>
          </thead>
          <tbody>
            {queues.map((q) => (
              <tr key={q.name}>
                <th scope="row">{q.name}</th>
                <td class="number strong">{q.known ? q.waiting : "?"}</td>
                <td class="number">{q.waiting && q.wait_since ? rough(now - q.wait_since) : "–"}</td>
                <td class="aside">{q.resources?.join(", ") || "–"}</td>
                <td>
                  <button type="button" class="cell-button" onClick={() => why(q.name)}>
                    {verdict(q, old ? head.told : undefined)}
                    <span class="hidden"> – why do tasks wait in {q.name}?</span>
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {queues.length === 0 && <p class="empty">No queue is known yet.</p>}
      </div>
    </Panel>
  );
}

function Resources({ resources, cost, clock }: { resources: Resource[]; cost: Head["cost"]; clock: Clock }) {
  useTick(1000);
  const now = clock.now();
  return (
    <Panel id="resources" title="Resource types" count={resources.length}>
      <ul class="resources">
        {resources.map((r) => {
          const parts = conditions.filter((c) => r.counts[c]).map((c) => `${r.counts[c]} ${c}`);
          if (r.launching) parts.push(`${r.launching} launching`);
          const said = parts.join(", ") || "none";
          return (
            <li key={r.name}>
              <div class="resource-head">
                <strong>{r.name}</strong>
                <span class="muted">
                  {r.markets?.map((m) => words(m)).join(" + ")} {r.types?.join(", ")}
                </span>
                <span class="ratio">
                  {r.known ? r.alive : "?"} <span class="muted">of {r.max}</span>
                </span>
              </div>
              <Bar counts={r.counts} max={r.max} launching={r.launching} label={`${r.name}: ${said}, at most ${r.max}`} />
              <div class="resource-note">
                {said}
                {r.retired && <span class="tag">not configured any more</span>}
                {r.held?.length ? <span class="tag warn">held: {r.held[0]}</span> : null}
                {r.blocks?.map((b) => (
                  <span class="tag" key={b.offering}>
                    {b.offering}: {words(b.class)}
                    {b.until ? `, asked again in ${rough(b.until - now)}` : ""}
                  </span>
                ))}
              </div>
              <div class="resource-note">
                <Today share={cost.resources[r.name]} />
                {r.max_idle_seconds > 0 && <span>· idle limit {span(r.max_idle_seconds * 1000)}</span>}
              </div>
            </li>
          );
        })}
      </ul>
      {resources.length === 0 && <p class="empty">No resource type is known yet.</p>}
    </Panel>
  );
}

// Today is what a resource type has had since midnight UTC. It has its place before
// that is known.
function Today({ share }: { share?: { today_hours: number; today_usd: number } }) {
  return (
    <span title="since midnight UTC, all instances together; the cost is estimated">
      today {share ? hoursOf(share.today_hours) : "–"}
      {share && share.today_usd > 0 && `, ${dollars(share.today_usd)}`}
    </span>
  );
}

// Skeleton keeps the place of what comes, so that nothing jumps.
function Skeleton() {
  return (
    <div aria-hidden="true" class="skeleton">
      <div class="s-tiles" />
      <div class="columns">
        <div class="s-panel" />
        <div class="s-panel" />
      </div>
      <div class="s-chart" />
    </div>
  );
}
