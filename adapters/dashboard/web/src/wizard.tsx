// The wizard: a configuration from nothing, from a file, or from an autoscaler that
// runs. The server says what to ask, what is wrong, and writes the file.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import * as A from "./answers";
import { get, of, post, save } from "./api";
import type { Change, Me } from "./types";
import { Changes, Dialog, Panel, Work, Wrong } from "./ui";

// Read is a file, or an autoscaler that runs, as answers.
interface Read {
  answers: A.Answers;
  notes?: string[];
  unset?: string[];
}

interface Written {
  yaml: string;
  needs?: string[];
  inline?: string[];
}

export function WizardPage({ me, from, running, signIn }: { me: Me; from: string; running: string[]; signIn: (then: () => void) => void }) {
  const [steps, setSteps] = useState<A.Step[]>();
  const [answers, setAnswers] = useState<A.Answers>({});
  const [extra, setExtra] = useState(1);
  const [at, setAt] = useState(0);
  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
  const [problems, setProblems] = useState<A.Problem[]>([]);
  const [notes, setNotes] = useState<string[]>([]);
  const [unset, setUnset] = useState<ReadonlySet<string>>(new Set());
  const [error, setError] = useState<unknown>();
  const [all, setAll] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);

  useEffect(() => {
    document.title = "New configuration – ebb";
    get<{ steps: A.Step[] }>("/wizard").then((w) => setSteps(w.steps), setError);
    if (from)
      post<Read>(of(from) + "/clone").then(take, setError);
  }, []);

  const pages = useMemo(() => {
    const out: { step: A.Step; element?: number }[] = [];
    for (const step of steps ?? []) {
      if (!step.repeat) {
        out.push({ step: A.withoutDefault(step, unset) });
        continue;
      }
      const n = Math.max(1, A.elements(answers, step.repeat), extra);
      for (let i = 0; i < n; i++) out.push({ step: A.withoutDefault(A.stepAt(step, i), unset), element: i });
    }
    return out;
  }, [steps, answers, extra, unset]);
  const repeat = steps?.find((s) => s.repeat);
  const full = useMemo(
    () =>
      A.withDefaults(
        pages.map((p) => p.step),
        answers,
      ),
    [pages, answers],
  );

  // The whole is checked a moment after the last change.
  useEffect(() => {
    if (!steps) return;
    const timer = setTimeout(() => {
      post<{ problems: A.Problem[] }>("/wizard/check", { answers: full }).then((r) => {
        setProblems(r.problems);
        setError(undefined);
      }, setError);
    }, 350);
    return () => clearTimeout(timer);
  }, [full, steps]);

  async function read(name: string, text: string) {
    take(await post<Read>("/wizard/read", { name, text }));
  }
  function take(got: Read) {
    setAnswers(got.answers);
    setNotes(got.notes ?? []);
    setUnset(new Set(got.unset));
    setAll(true);
    setError(undefined);
  }
  const show = (index: number) => {
    setAt(index);
    heading.current?.focus();
    scrollTo(0, 0);
  };
  const touch = (id: string) => setTouched((before) => (before.has(id) ? before : new Set(before).add(id)));
  const seen = (p: A.Problem) => all || [...touched].some((id) => A.about(p, id));
  const page = pages[at];
  const known = new Set(pages.flatMap((p) => p.step.fields.map((f) => f.id)));
  const elsewhere = problems.filter((p) => ![...known].some((id) => A.about(p, id)));

  if (!steps) return error ? <Wrong error={error} /> : <p class="plain">Loading the questions…</p>;
  return (
    <>
      <div class="page-head">
        <h1 ref={heading} tabIndex={-1}>
          {from ? `Clone of ${from}` : "New configuration"}
        </h1>
      </div>
      <Import read={read} />
      {notes.length > 0 && (
        <Panel title="About the file" count={notes.length}>
          <ul class="lines pad">
            {notes.map((n) => (
              <li>{n}</li>
            ))}
          </ul>
        </Panel>
      )}
      {error !== undefined && <Wrong error={error} />}
      <div class="wizard">
        <nav aria-label="Steps" class="steps">
          <ol>
            {pages.map((p, i) => {
              const wrong = problems.filter((x) => seen(x) && p.step.fields.some((f) => A.about(x, f.id))).length;
              return (
                <li key={p.step.id}>
                  <button type="button" aria-current={i === at ? "step" : undefined} onClick={() => show(i)}>
                    <span>
                      {p.step.title}
                      {p.element !== undefined && ` ${p.element + 1}`}
                    </span>
                    {wrong > 0 && <span class="tag bad">{wrong} to fix</span>}
                  </button>
                </li>
              );
            })}
            {repeat && (
              <li>
                <button
                  type="button"
                  class="add"
                  onClick={() => {
                    const n = Math.max(1, A.elements(answers, repeat.repeat!), extra);
                    setExtra(n + 1);
                    show(pages.findIndex((p) => p.element === n - 1) + 1);
                  }}
                >
                  + {repeat.title.toLowerCase()}
                </button>
              </li>
            )}
            <li>
              <button type="button" aria-current={at === pages.length ? "step" : undefined} onClick={() => show(pages.length)}>
                <span>Review</span>
                {all && problems.length > 0 && <span class="tag bad">{problems.length} to fix</span>}
              </button>
            </li>
          </ol>
        </nav>
        {page ? (
          <Panel
            title={page.step.title + (page.element !== undefined ? ` ${page.element + 1}` : "")}
            tools={
              page.element !== undefined &&
              pages.filter((p) => p.element !== undefined).length > 1 && (
                <button
                  type="button"
                  onClick={() => {
                    setAnswers(A.remove(answers, repeat!.repeat!, page.element!));
                    setExtra(Math.max(1, extra - 1));
                    show(Math.max(0, at - 1));
                  }}
                >
                  Remove
                </button>
              )
            }
          >
            <div class="form pad">
              {page.step.help && <p class="muted">{page.step.help}</p>}
              {page.step.fields
                .filter((f) => A.asked(f, page.step.fields, answers))
                .map((f) => (
                  <Question
                    key={f.id}
                    field={f}
                    value={A.text(answers, f.id)}
                    problems={problems.filter((p) => A.about(p, f.id) && seen(p))}
                    set={(v) => setAnswers((a) => A.set(a, f.id, v))}
                    leave={() => touch(f.id)}
                  />
                ))}
              <div class="buttons">
                <button type="button" disabled={at === 0} onClick={() => show(at - 1)}>
                  Back
                </button>
                <button
                  type="button"
                  class="primary"
                  onClick={() => {
                    page.step.fields.forEach((f) => touch(f.id));
                    show(at + 1);
                  }}
                >
                  Next
                </button>
              </div>
            </div>
          </Panel>
        ) : (
          <Review me={me} from={from} running={running} answers={full} problems={problems} elsewhere={elsewhere} signIn={signIn} shown={() => setAll(true)} />
        )}
      </div>
    </>
  );
}

function Import({ read }: { read: (name: string, text: string) => Promise<void> }) {
  const [text, setText] = useState("");
  const [error, setError] = useState<unknown>();
  const [done, setDone] = useState("");
  const take = async (name: string, content: string) => {
    try {
      await read(name, content);
      setDone(name || "the text");
      setError(undefined);
    } catch (problem) {
      setDone("");
      setError(problem);
    }
  };
  return (
    <details class="panel import">
      <summary>Begin with a file: YAML, JSON or HOCON, of ebb or exported from ClearML</summary>
      <div class="form pad">
        <label>
          File
          <input
            type="file"
            accept=".yaml,.yml,.json,.conf,.hocon,.txt"
            onChange={async (e) => {
              const file = e.currentTarget.files?.[0];
              if (file) await take(file.name, await file.text());
            }}
          />
        </label>
        <label>
          or its text
          <textarea rows={5} spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <div class="buttons">
          <button type="button" disabled={!text.trim()} onClick={() => void take("", text)}>
            Read the text
          </button>
          <span role="status">{done && `${done} is read; what it says is in the steps below.`}</span>
        </div>
        <Wrong error={error} />
      </div>
    </details>
  );
}

function Question(props: { field: A.Field; value: string; problems: A.Problem[]; set: (value: string) => void; leave: () => void }) {
  const { field: f, value } = props;
  const id = "f-" + f.id.replace(/[^a-z0-9]+/gi, "-");
  const wrong = props.problems.length > 0;
  const common = {
    id,
    "aria-invalid": wrong || undefined,
    "aria-describedby": `${id}-help ${id}-wrong`,
    onBlur: props.leave,
    placeholder: f.default || f.suggest || f.example || "",
  };
  const type = (v: string) => props.set(v);
  return (
    <div class={`question ${wrong ? "has-wrong" : ""}`}>
      {f.kind === "bool" ? (
        <label class="check" htmlFor={id}>
          <input
            {...common}
            type="checkbox"
            checked={(value || f.default) === "true"}
            onChange={(e) => {
              type(String(e.currentTarget.checked));
              props.leave();
            }}
          />{" "}
          {f.label}
        </label>
      ) : (
        <>
          <label htmlFor={id}>
            {f.label}
            {f.required && <span class="muted"> required</span>}
          </label>
          {f.kind === "choice" ? (
            <select
              {...common}
              value={value || f.default || ""}
              onChange={(e) => {
                type(e.currentTarget.value);
                props.leave();
              }}
            >
              {!f.default && <option value="" />}
              {f.choices?.map((c) => (
                <option key={c.value} value={c.value}>
                  {c.label}
                </option>
              ))}
            </select>
          ) : f.kind === "multiline" ? (
            <textarea {...common} rows={6} spellcheck={false} value={value} onInput={(e) => type(e.currentTarget.value)} />
          ) : (
            <input
              {...common}
              {...(f.kind === "secret" && !value.startsWith("${") ? { type: "password" as const } : { type: "text" as const })}
              inputMode={f.kind === "number" ? "numeric" : undefined}
              autocomplete="off"
              spellcheck={false}
              value={value}
              onInput={(e) => type(e.currentTarget.value)}
            />
          )}
        </>
      )}
      <small id={`${id}-help`}>
        {f.help}
        {f.kind === "secret" && " A reference such as ${ENV:NAME} or ${FILE:/path} keeps it out of the file."}
      </small>
      <div id={`${id}-wrong`} class="field-wrong" aria-live="polite">
        {props.problems.map((p) => (
          <p key={p.message}>
            {p.message}; {p.fix}
          </p>
        ))}
      </div>
    </div>
  );
}

function Review(props: { me: Me; from: string; running: string[]; answers: A.Answers; problems: A.Problem[]; elsewhere: A.Problem[]; signIn: (then: () => void) => void; shown: () => void }) {
  const [inline, setInline] = useState(false);
  const [written, setWritten] = useState<Written>();
  const [error, setError] = useState<unknown>();
  const [asked, setAsked] = useState<string>();
  const [applied, setApplied] = useState<Change>();
  useEffect(() => {
    props.shown();
    post<Written>("/wizard/write", { answers: props.answers, inline_secrets: inline }).then(
      (w) => {
        setWritten(w);
        setError(undefined);
      },
      (problem) => {
        setWritten(undefined);
        setError(problem);
      },
    );
  }, [props.answers, inline]);
  return (
    <Panel title="Review">
      <div class="form pad">
        {props.problems.length > 0 ? (
          <div class="wrong" role="status">
            <strong>{props.problems.length === 1 ? "One thing is to be fixed" : `${props.problems.length} things are to be fixed`}</strong>
            <ul>
              {props.problems.map((p) => (
                <li>
                  <code>{p.path || "the whole"}</code> {p.message}; {p.fix}
                </li>
              ))}
            </ul>
          </div>
        ) : (
          <p class="fine" role="status">
            The configuration is sound.
          </p>
        )}
        <label class="check">
          <input type="checkbox" checked={inline} onChange={(e) => setInline(e.currentTarget.checked)} /> write the secrets that I answered into the file
        </label>
        <Wrong error={error} />
        {written && (
          <>
            <pre class="yaml" tabIndex={0} aria-label="The configuration file">
              {written.yaml}
            </pre>
            {written.needs && written.needs.length > 0 && (
              <>
                <h3>What has to be there when it runs</h3>
                <ul class="lines">
                  {written.needs.map((n) => (
                    <li>{n}</li>
                  ))}
                </ul>
              </>
            )}
            {written.inline && written.inline.length > 0 && <p class="muted">Readable in the file: {written.inline.join(", ")}</p>}
            <div class="buttons">
              <button type="button" class="primary" onClick={() => save("ebb.yaml", "application/yaml", written.yaml)}>
                Download ebb.yaml
              </button>
            </div>
            {!applied && <Standing answers={props.answers} running={props.running} from={props.from} />}
            {applied ? (
              <div role="status">
                <p class="fine">Applied.</p>
                <Changes of={applied} past />
              </div>
            ) : props.me.act ? (
              <div class="buttons">
                <button type="button" class="danger" disabled={props.problems.length > 0} onClick={() => setAsked(written.yaml)}>
                  Apply to this ebb…
                </button>
              </div>
            ) : (
              <button type="button" class="link" onClick={() => props.signIn(() => undefined)}>
                Sign in to apply it to this ebb
              </button>
            )}
            {asked !== undefined && (
              <ApplyDialog
                yaml={asked}
                close={() => setAsked(undefined)}
                done={(change) => {
                  setAsked(undefined);
                  setApplied(change);
                }}
              />
            )}
          </>
        )}
      </div>
    </Panel>
  );
}

// Standing says what applying would do to the autoscalers that run here.
function Standing({ answers, running, from }: { answers: A.Answers; running: string[]; from: string }) {
  const { changed, added, kept } = A.standing(answers, running);
  if (changed.length + added.length === 0 || running.length === 0) return null;
  return (
    <div>
      <h3>Applied to this ebb</h3>
      <ul class="lines">
        {added.map((n) => (
          <li key={n}>
            adds <strong>{n}</strong> to the configuration file; a new autoscaler begins at the next start of ebb
          </li>
        ))}
        {changed.map((n) => (
          <li key={n}>
            takes the place of <strong>{n}</strong> in the configuration file
            {n === from && ": for one more autoscaler beside it write another name, and another workers prefix"}
          </li>
        ))}
        {kept.map((n) => (
          <li key={n}>
            leaves <strong>{n}</strong> as it is
          </li>
        ))}
      </ul>
    </div>
  );
}

// ApplyDialog says what applying a configuration changes, and does it when that is
// wanted.
function ApplyDialog({ yaml, close, done }: { yaml: string; close: () => void; done: (change: Change) => void }) {
  const [plan, setPlan] = useState<Change>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    post<Change>("/apply/plan", { yaml }).then(setPlan, setError);
  }, [yaml]);
  return (
    <Dialog title="Apply this configuration?" close={close} wide>
      {plan ? (
        <Work label="Apply" danger cancel={close} work={async () => done(await post<Change>("/apply", { yaml }))}>
          <Changes of={plan} />
          <p>
            <code>{plan.file}</code> is written anew: what this configuration does not name stays, <strong>comments in the file are lost</strong>. The file as it
            is now is kept as <code>{plan.before}</code>, in the place of the one that was kept there before.
          </p>
        </Work>
      ) : error !== undefined ? (
        <>
          <Wrong error={error} />
          <div class="buttons">
            <button type="button" onClick={close}>
              Close
            </button>
          </div>
        </>
      ) : (
        <p role="status">Looking what would change…</p>
      )}
    </Dialog>
  );
}
