// Requests to /api/v1.

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fix: string,
    readonly problems: { path: string; message: string; fix: string }[] = [],
  ) {
    super(message);
  }
}

// unauthorized is the event of a request that was refused for want of a session.
export const unauthorized = "ebb-unauthorized";

async function answer(response: Response): Promise<Response> {
  if (response.ok) return response;
  let message = `the server answered ${response.status}`;
  let fix = "try again in a moment";
  let problems = [];
  try {
    const body = await response.json();
    message = body.error ?? message;
    fix = body.fix ?? fix;
    problems = body.problems ?? [];
  } catch {
    // not ours: a proxy's page
  }
  if (response.status === 401) dispatchEvent(new Event(unauthorized));
  throw new Refused(response.status, message, fix, problems);
}

async function call(method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { "X-Ebb-Page": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch("/api/v1" + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused(0, "ebb cannot be reached", "look whether it runs; this page tries again by itself");
  }
  return answer(response);
}

export async function get<T>(path: string): Promise<T> {
  return (await call("GET", path)).json();
}

export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  return (await call("POST", path, body)).json();
}

export async function postFile(path: string, body: unknown): Promise<string> {
  return (await call("POST", path, body)).text();
}

export async function remove<T>(path: string): Promise<T> {
  return (await call("DELETE", path)).json();
}

export function of(name: string): string {
  return "/autoscalers/" + encodeURIComponent(name);
}

// save hands a file to the user.
export function save(name: string, kind: string, content: string): void {
  const url = URL.createObjectURL(new Blob([content], { type: kind }));
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
