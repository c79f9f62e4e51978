// Numbers and times for people.

export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m}m ${String(s % 60).padStart(2, "0")}s`;
  const h = Math.floor(m / 60);
  if (h < 24) return `${h}h ${String(m % 60).padStart(2, "0")}m`;
  return `${Math.floor(h / 24)}d ${h % 24}h`;
}

// rough is a duration that does not change every second.
export function rough(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

// span is a duration that somebody has set: as it is, without the parts that are zero.
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  const parts: [number, string][] = [
    [Math.floor(s / 3600), "h"],
    [Math.floor(s / 60) % 60, "m"],
    [s % 60, "s"],
  ];
  return (
    parts
      .filter(([n]) => n > 0)
      .map(([n, unit]) => n + unit)
      .join(" ") || "0s"
  );
}

export function age(now: number, since: number): string {
  return since ? duration(now - since) : "–";
}

export function dollars(usd: number): string {
  if (usd === 0) return "$0.00";
  if (usd < 0.01) return "<$0.01";
  if (usd < 1000) return `$${usd.toFixed(2)}`;
  return `$${Math.round(usd).toLocaleString("en-US")}`;
}

export function count(n: number, noun: string, many = noun + "s"): string {
  return `${n.toLocaleString("en-US")} ${n === 1 ? noun : many}`;
}

// waiting is how many tasks wait, of which queues may be left out that nobody has seen.
export function waiting(tasks: number, unknownQueues: number): string {
  if (!unknownQueues) return tasks.toLocaleString("en-US");
  return tasks ? `${tasks.toLocaleString("en-US")} + ?` : "?";
}

export function clockTime(ms: number): string {
  if (!ms) return "–";
  const d = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

export function dateTime(ms: number): string {
  if (!ms) return "–";
  const d = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clockTime(ms)}`;
}

// fill puts an id into the template of an address.
export function fill(template: string | undefined, id: string | undefined): string | undefined {
  if (!template || !id) return undefined;
  return template.replace("{id}", encodeURIComponent(id));
}

// hoursOf is how long instances have lived, all together.
export function hoursOf(hours: number): string {
  if (hours < 0.1) return hours > 0 ? "<0.1 h" : "0 h";
  return `${hours < 100 ? hours.toFixed(1) : Math.round(hours).toLocaleString("en-US")} h`;
}

// autoscalerOf is the name in the address of an autoscaler's page; undefined for
// another page. What cannot be decoded is nobody's name and is taken as it is.
export function autoscalerOf(path: string): string | undefined {
  if (!path.startsWith("/a/")) return undefined;
  const name = path.slice(3);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

export function words(text: string): string {
  return text.replaceAll("_", " ");
}
