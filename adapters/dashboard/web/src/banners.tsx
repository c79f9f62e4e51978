// What is out of the ordinary, above everything else.
import { clockTime, count, rough, words } from "./format";
import type { Picture } from "./live";
import { troublesOf, troubleTitle } from "./plain";
import type { State } from "./stream";
import type { Trouble } from "./types";
import { Banner, Clock, stale, useTick } from "./ui";

// Troubles are what /readyz says, with what to do.
export function Troubles({ of: troubles }: { of: Trouble[] }) {
  return (
    <>
      {troubles.map((t) => (
        <Banner key={troubleTitle(t)} kind={t.wrong ? "error" : "warn"} title={troubleTitle(t)}>
          {t.cure && `What to do: ${t.cure}.`}
          {t.lines && t.lines.length > 0 && (
            <ul class="lines">
              {t.lines.map((line) => (
                <li key={line}>{line}</li>
              ))}
            </ul>
          )}
        </Banner>
      ))}
    </>
  );
}

// Banners are what is out of the ordinary.
export function Banners({ picture, state, clock, speed }: { picture: Picture; state: State; clock: Clock; speed: number }) {
  useTick(1000);
  const { head } = picture;
  const now = clock.now();
  const old = stale(head, now, speed);
  const troubles = troublesOf(head);
  const blocked = picture.resources.filter((r) => r.held?.length);
  return (
    <>
      {state === "broken" && (
        <Banner kind="error" title="The connection to ebb is lost.">
          What is shown is as of {clockTime(head.now)}. The page tries again by itself.
        </Banner>
      )}
      <Troubles of={troubles} />
      {state === "live" && old !== undefined && (
        <Banner kind="warn" title={old === Infinity ? "No status yet." : `The status is ${rough(old)} old.`}>
          {head.problem && !troubles.some((t) => t.wrong) && `${head.problem}. `}
          {old === Infinity ? "Shown is what events tell." : "Shown is that status with the events since."}
        </Banner>
      )}
      {head.rival && (
        <Banner kind="error" title="Two act for this autoscaler.">
          Since {clockTime(head.rival.at)}: {head.rival.text}.
        </Banner>
      )}
      {head.pause && (
        <Banner kind="info" title="Paused: nothing is launched.">
          Since {clockTime(head.pause.at)}
          {head.pause.by && `, by ${head.pause.by}`}
          {head.pause.why && `: ${head.pause.why}`}
          {head.pause.until ? `. Ends in ${rough(head.pause.until - now)}, at ${clockTime(head.pause.until)}.` : ". Until somebody resumes it."}
        </Banner>
      )}
      {(["clearml", "ec2"] as const).map((source) =>
        head[source].down_since ? (
          <Banner key={source} kind="error" title={`${source === "ec2" ? "EC2" : "ClearML"} fails for ${rough(now - head[source].down_since)}`}>
            (since {clockTime(head[source].down_since)}): {head[source].message || words(head[source].class ?? "")}. Until it answers, the fleet is held: nothing
            is drained on old knowledge.
          </Banner>
        ) : null,
      )}
      {blocked.map((r) => (
        <Banner key={r.name} kind="warn" title={`${r.name} is held:`}>
          {r.held!.join("; ")}
        </Banner>
      ))}
      {head.stopping && <Banner kind="warn" title="The autoscaler has stopped, or is about to." />}
      {head.events_lost > 0 && <Banner kind="warn" title={`${count(head.events_lost, "event")} could not be kept.`}>The bus was away for too long.</Banner>}
    </>
  );
}
