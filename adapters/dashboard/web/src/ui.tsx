// Small parts that every page uses.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Refused } from "./api";
import type { Change, Condition, Counts, Head } from "./types";
import { conditions } from "./types";

// Clock is the autoscaler's clock as the last frame told it, going on since.
export class Clock {
  private at = 0;
  private heard = 0;
  speed = 1;

  set(now: number): void {
    this.at = now;
    this.heard = performance.now();
  }

  now(): number {
    return this.at ? this.at + (performance.now() - this.heard) * this.speed : Date.now();
  }
}

// useTick draws anew now and then, for ages.
export function useTick(ms: number): void {
  const [, set] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => set((n) => n + 1), ms);
    return () => clearInterval(timer);
  }, [ms]);
}

export function Badge({ condition }: { condition: Condition }) {
  return <span class={`badge is-${condition}`}>{condition}</span>;
}

// Bar shows instances by condition against the most there may be.
export function Bar({ counts, max, launching, label }: { counts: Counts; max: number; launching: number; label: string }) {
  const alive = conditions.reduce((n, c) => n + (counts[c] ?? 0), 0) + launching;
  const whole = Math.max(max, alive, 1);
  return (
    <div class="bar" role="img" aria-label={label}>
      {conditions.map((c) =>
        counts[c] ? <span key={c} class={`fill is-${c}`} style={{ width: `${(100 * counts[c]!) / whole}%` }} title={`${counts[c]} ${c}`} /> : null,
      )}
      {launching > 0 && <span class="fill is-launching" style={{ width: `${(100 * launching) / whole}%` }} title={`${launching} launching`} />}
    </div>
  );
}

export function Panel(props: { id?: string; title: string; count?: ComponentChildren; tools?: ComponentChildren; children: ComponentChildren; class?: string }) {
  return (
    <section class={`panel ${props.class ?? ""}`} id={props.id} aria-labelledby={props.id && props.id + "-title"} tabIndex={props.id ? -1 : undefined}>
      <header class="panel-head">
        <h2 id={props.id && props.id + "-title"}>
          {props.title}
          {props.count !== undefined && <span class="count">{props.count}</span>}
        </h2>
        {props.tools && <div class="tools">{props.tools}</div>}
      </header>
      {props.children}
    </section>
  );
}

export function Banner({ kind, title, children }: { kind: "info" | "warn" | "error"; title: string; children?: ComponentChildren }) {
  return (
    <div class={`banner ${kind}`}>
      <span class="banner-mark" aria-hidden="true" />
      <div>
        <strong>{title}</strong> {children}
      </div>
    </div>
  );
}

// Dialog is a modal dialog of the browser's own: it keeps the focus inside and ends
// with Escape.
export function Dialog({ title, close, children, wide }: { title: string; close: () => void; children: ComponentChildren; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current!;
    const before = document.activeElement as HTMLElement | null;
    if (!dialog.open) dialog.showModal();
    return () => {
      dialog.close();
      before?.focus?.();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      class={wide ? "wide" : ""}
      aria-labelledby="dialog-title"
      onCancel={(e) => {
        e.preventDefault();
        close();
      }}
      onClick={(e) => {
        if (e.target === ref.current) close();
      }}
    >
      <div class="dialog">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <button type="button" class="icon" aria-label="Close" onClick={close}>
            ✕
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

// Wrong shows what was refused, and what to do.
export function Wrong({ error }: { error: unknown }) {
  if (!error) return null;
  const refused = error instanceof Refused ? error : undefined;
  return (
    <div class="wrong" role="alert">
      <strong>{refused?.message ?? String(error)}</strong>
      {refused?.fix && <p>{refused.fix}</p>}
      {refused && refused.problems.length > 0 && (
        <ul>
          {refused.problems.map((p) => (
            <li>
              <code>{p.path}</code> {p.message}: {p.fix}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

// Changes are the differences of a new configuration.
export function Changes({ of: change, past }: { of: Change; past?: boolean }) {
  const list = (lines: string[]) => (
    <ul class="lines">
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
  return (
    <>
      {change.changes.length > 0 && (
        <>
          <h3>{past ? "What has changed" : "What changes at once"}</h3>
          {list(change.changes)}
        </>
      )}
      {change.restart.length > 0 && (
        <>
          <h3>What begins at the next start of ebb</h3>
          {list(change.restart)}
        </>
      )}
      {change.changes.length + change.restart.length === 0 && <p>{past ? "Nothing that runs has changed." : "Nothing that runs changes."}</p>}
      {past && change.before && (
        <p class="muted">
          The file as it was before is <code>{change.before}</code>.
        </p>
      )}
    </>
  );
}

// Work is a form that does one thing: while it works nothing can be pressed twice.
export function Work(props: { label: string; danger?: boolean; disabled?: boolean; work: () => Promise<void>; cancel?: () => void; children?: ComponentChildren }) {
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await props.work();
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit} class="form">
      {props.children}
      <Wrong error={error} />
      <div class="buttons">
        {props.cancel && (
          <button type="button" onClick={props.cancel}>
            Cancel
          </button>
        )}
        <button type="submit" class={props.danger ? "danger" : "primary"} disabled={busy || props.disabled}>
          {props.label}
        </button>
      </div>
    </form>
  );
}

export function Out({ href, children, label }: { href?: string; children: ComponentChildren; label?: string }) {
  if (!href) return <>{children}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer" aria-label={label}>
      {children}
    </a>
  );
}

// stale says how old the status is when it is too old, in milliseconds.
export function stale(head: Head, now: number, speed: number): number | undefined {
  if (!head.problem && head.told && now - head.told < 20_000 * speed) return undefined;
  return head.told ? now - head.told : Infinity;
}
