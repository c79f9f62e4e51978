// The answers of the wizard. Pure; the server checks and writes them.

export type Kind = "text" | "secret" | "number" | "duration" | "choice" | "list" | "tags" | "multiline" | "bool";

export interface Field {
  id: string;
  label: string;
  help?: string;
  kind: Kind;
  default?: string;
  // implied says that no answer means the default as well: it need not be written.
  implied?: boolean;
  suggest?: string;
  example?: string;
  choices?: { value: string; label: string }[];
  required?: boolean;
  when?: { field: string; is: string[]; not?: boolean }[];
}

export interface Step {
  id: string;
  title: string;
  help?: string;
  repeat?: string;
  fields: Field[];
}

export interface Problem {
  path: string;
  message: string;
  fix: string;
}

export type Answers = Record<string, unknown>;

// text is an answer as a form shows it.
export function text(a: Answers, id: string): string {
  const v = a[id];
  if (v === undefined || v === null) return "";
  if (Array.isArray(v)) return v.join(", ");
  if (typeof v === "object")
    return Object.keys(v)
      .sort()
      .map((k) => `${k}=${(v as Record<string, unknown>)[k]}`)
      .join(",");
  return String(v);
}

// set answers a field with text. Text that says what the answer says already changes
// nothing, so that a value which a form cannot show whole is not spoiled.
export function set(a: Answers, id: string, value: string): Answers {
  if (id in a && text(a, id) === value) return a;
  const next = { ...a };
  if (value === "") delete next[id];
  else next[id] = value;
  return next;
}

export function elements(a: Answers, list: string): number {
  let n = 0;
  for (const path of Object.keys(a)) {
    if (!path.startsWith(list + "[")) continue;
    const at = Number.parseInt(path.slice(list.length + 1), 10);
    if (at >= 0 && at < 1000) n = Math.max(n, at + 1);
  }
  return n;
}

// remove takes an element out; those after it move up.
export function remove(a: Answers, list: string, element: number): Answers {
  const next: Answers = {};
  for (const [path, value] of Object.entries(a)) {
    if (!path.startsWith(list + "[")) {
      next[path] = value;
      continue;
    }
    const at = Number.parseInt(path.slice(list.length + 1), 10);
    if (at === element) continue;
    const tail = path.slice(path.indexOf("]", list.length));
    next[at > element ? `${list}[${at - 1}${tail}` : path] = value;
  }
  return next;
}

// stepAt is a step that repeats, about one element of its list.
export function stepAt(s: Step, element: number): Step {
  const mark = s.repeat + "[]";
  const at = `${s.repeat}[${element}]`;
  const put = (id: string) => id.replace(mark, at);
  return {
    ...s,
    id: `${s.id}-${element}`,
    repeat: undefined,
    fields: s.fields.map((f) => ({ ...f, id: put(f.id), when: f.when?.map((w) => ({ ...w, field: put(w.field) })) })),
  };
}

// asked says whether a field is to be asked, given the other answers.
export function asked(f: Field, fields: Field[], a: Answers): boolean {
  return (f.when ?? []).every((c) => {
    let value = text(a, c.field);
    const other = fields.find((o) => o.id === c.field);
    if (other) {
      if (value === "") value = other.default ?? "";
      if (!asked(other, fields, a)) value = "";
    }
    return c.is.includes(value) !== (c.not ?? false);
  });
}

// withDefaults answers every field that is asked and has no answer with its default,
// unless the default holds without an answer.
export function withDefaults(steps: Step[], a: Answers): Answers {
  let next = a;
  for (const s of steps)
    for (const f of s.fields) if (text(next, f.id) === "" && f.default && !f.implied && asked(f, s.fields, next)) next = set(next, f.id, f.default);
  return next;
}

// withoutDefault is a step in which nothing takes the place of a secret that was there
// and was not told: somebody has to write it.
export function withoutDefault(s: Step, unset: ReadonlySet<string>): Step {
  if (!s.fields.some((f) => unset.has(f.id))) return s;
  return { ...s, fields: s.fields.map((f) => (unset.has(f.id) ? { ...f, default: undefined, suggest: f.suggest ?? f.default } : f)) };
}

// standing says what becomes of the autoscalers that run here when answers are applied:
// those of the same name change, the others stay, and a new name is added.
export function standing(a: Answers, running: string[]): { changed: string[]; added: string[]; kept: string[] } {
  const named: string[] = [];
  for (let i = 0; i < elements(a, "autoscalers"); i++) {
    const name = text(a, `autoscalers[${i}].name`);
    if (name) named.push(name);
  }
  return {
    changed: named.filter((n) => running.includes(n)),
    added: named.filter((n) => !running.includes(n)),
    kept: running.filter((n) => !named.includes(n)),
  };
}

// about says whether a problem is about a field: its key or an element of it.
export function about(p: Problem, id: string): boolean {
  return p.path === id || p.path.startsWith(id + ".") || p.path.startsWith(id + "[");
}
