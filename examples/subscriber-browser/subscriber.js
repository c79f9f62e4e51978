// Follows the events of ebb in a browser: the last hour of the JetStream stream EBB_EVENTS
// and what comes, and how many instances of each resource type there are.
import { wsconnect } from "@nats-io/nats-core";
import { DeliverPolicy, jetstream } from "@nats-io/jetstream";

const STREAM = "EBB_EVENTS";
const REPLAY_MS = 60 * 60 * 1000;
const RETRY_MS = 3000;
const LINES_MAX = 500; // lines on the page
const SEEN_MAX = 5000; // ids that are remembered, to tell an event that comes twice

const $ = (id) => document.getElementById(id);

// Remembers the last ids: an event may be in the stream twice, and is read again after
// the connection was lost for good.
class Seen {
  #ids = new Set();
  first(id) {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > SEEN_MAX) this.#ids.delete(this.#ids.values().next().value); // the oldest
    return true;
  }
}
const shown = new Seen();

let latest = 0; // the number of the last press of the button: it ends the loops of earlier ones
$("login").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const login = $("user").value ? { user: $("user").value, pass: $("password").value } : {}; // none: the server's no_auth_user
  follow(++latest, { servers: $("server").value, ...login });
});

// Connects, reads, and begins again after whatever went wrong, for ever.
async function follow(mine, login) {
  while (mine === latest) {
    let connection;
    try {
      say("", `Connecting to ${login.servers} …`);
      // A connection that is lost later is got back by nats.js, and the consumers with it.
      connection = await wsconnect({ ...login, name: "subscriber-browser", maxReconnectAttempts: -1, ignoreAuthErrorAbort: true });
      const ended = watch(mine, connection);
      await Promise.race([ended, list(mine, connection), count(mine, connection)]);
    } catch (error) {
      if (mine === latest) say("trouble", `${explain(error, login.servers)} Trying again.`);
    }
    connection?.close().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

// Says what becomes of the connection. It returns when that is over.
async function watch(mine, connection) {
  say("live", `Live from ${connection.getServer()}.`);
  for await (const status of connection.status()) {
    if (mine !== latest) return;
    if (status.type === "disconnect") say("trouble", "The connection is lost; getting it back …");
    if (status.type === "reconnect") say("live", `Live from ${connection.getServer()}.`);
  }
}

// Reads the stream in order and hands on each event. An ordered consumer is cheap, needs
// no acknowledgment, and is made anew by nats.js after the last event that was received.
async function read(mine, connection, options, handle) {
  const consumer = await jetstream(connection).consumers.get(STREAM, options);
  for await (const message of await consumer.consume()) {
    if (mine !== latest) return;
    let event;
    try {
      event = message.json();
    } catch {
      continue; // others may publish here too
    }
    if (event?.id && event.type?.startsWith("ebb.v1.")) handle(event, event.type.slice("ebb.v1.".length));
  }
}

// Shows the last hour and what comes, the latest on top.
async function list(mine, connection) {
  // The hour is first turned into a number of the stream: nats.js 3.4 can not make an ordered
  // consumer anew that began at a time (the server refuses a start by time and by number).
  const since = new Date(Date.now() - REPLAY_MS).toISOString();
  const hour = await jetstream(connection).consumers.get(STREAM, { filter_subjects: "ebb.v1.>", opt_start_time: since });
  const options = { filter_subjects: "ebb.v1.>", opt_start_seq: (await hour.info()).delivered.stream_seq + 1 };
  await hour.delete();
  return read(mine, connection, options, (event, kind) => {
    if (!shown.first(event.id)) return;
    const line = document.createElement("li");
    line.dataset.id = event.id;
    line.dataset.kind = kind;
    const why = (event.data?.reasons ?? []).map((reason) => reason.detail || reason.code);
    if (event.data?.message) why.push(event.data.message);
    line.textContent = [event.time, autoscaler(event), kind, event.subject ?? "", why.join("; ")].filter(Boolean).join(" · ");
    $("events").prepend(line);
    while ($("events").children.length > LINES_MAX) $("events").lastChild.remove();
  });
}

// Counts instances from the oldest event kept on: the last hour does not tell of one that
// was launched before it. An autoscaler that starts finds its instances again and tells of
// each (instance.adopted), so what was known before is dropped.
function count(mine, connection) {
  const kinds = ["autoscaler.started", "instance.launched", "instance.adopted", "instance.stray", "instance.gone"];
  const options = { filter_subjects: kinds.map((kind) => `ebb.v1.*.${kind}`), deliver_policy: DeliverPolicy.All };
  const instances = new Map(); // source → id → resource type
  const seen = new Seen();
  showCounts(instances);
  return read(mine, connection, options, (event, kind) => {
    if (!seen.first(event.id)) return;
    if (kind === "autoscaler.started") instances.set(event.source, new Map());
    const known = instances.get(event.source) ?? new Map();
    instances.set(event.source, known);
    if (kind === "instance.gone") known.delete(event.data.instance);
    else if (kind !== "autoscaler.started") known.set(event.data.instance, event.data.resource ?? "");
    showCounts(instances);
  });
}

function showCounts(instances) {
  const numbers = new Map();
  for (const known of instances.values()) {
    for (const resource of known.values()) numbers.set(resource, (numbers.get(resource) ?? 0) + 1);
  }
  $("counts").replaceChildren(...[...numbers].sort().map(([resource, number]) => {
    const row = document.createElement("tr");
    row.dataset.resource = resource;
    row.insertCell().textContent = resource || "unknown";
    row.insertCell().textContent = number;
    return row;
  }));
}

function autoscaler(event) {
  try {
    return decodeURIComponent(event.source.replace("/ebb/", ""));
  } catch {
    return event.source;
  }
}

function say(mood, text) {
  $("status").className = mood;
  $("status").textContent = text;
}

// Says what to do. A browser does not tell a page why a WebSocket could not be opened.
function explain(error, server) {
  const text = `${error?.message ?? error}`;
  if (/authoriz/i.test(text)) return "The server refuses this user and password.";
  if (/permission/i.test(text)) return `This user may not read the stream ${STREAM}: ${text}.`;
  if (/stream not found|no responders|jetstream/i.test(text)) {
    return `No stream ${STREAM} in this account (${text}): make its copy with events-mirror.json, see the README.`;
  }
  return `No NATS WebSocket answers this page at ${server}. Three things to look at: nats-server must run with a websocket {} block ` +
    `and the URL must have the port of that block (4222 is for other programs); ${location.origin} must be in its allowed_origins; ` +
    `a page from https:// may open wss:// only.${text ? ` (${text})` : ""}`;
}
