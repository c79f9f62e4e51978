// What an operator can be asked, and what is shown in detail.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get, of, post, postFile, save } from "./api";
import { age, clockTime, count, dateTime, dollars, duration, fill } from "./format";
import { idleOf } from "./plain";
import { cost } from "./table";
import type { Change, Instance, Links, Me, Queue, Resource } from "./types";
import { Badge, Changes, Clock, Dialog, Out, Work, Wrong, useTick } from "./ui";

export function SignIn({ me, close, done }: { me: Me; close: () => void; done: () => void }) {
  const [token, setToken] = useState("");
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [name, setName] = useState("");
  const [withPassword, setWithPassword] = useState(!me.token && me.password);
  const work = async () => {
    await post("/session", withPassword ? { user, password, name } : { token, name });
    done();
  };
  return (
    <Dialog title="Sign in" close={close}>
      {!me.token && !me.password ? (
        <p>
          This ebb has no token, so that nobody can act from here. Set <code>http.token</code> in its configuration, for example{" "}
          <code>{"${ENV:EBB_HTTP_TOKEN}"}</code>, and start it again.
        </p>
      ) : (
        <Work label="Sign in" work={work} cancel={close} disabled={withPassword ? !user || !password : !token}>
          {withPassword ? (
            <>
              <label>
                User
                <input value={user} autocomplete="username" onInput={(e) => setUser(e.currentTarget.value)} />
              </label>
              <label>
                Password
                <input type="password" value={password} autocomplete="current-password" onInput={(e) => setPassword(e.currentTarget.value)} />
              </label>
            </>
          ) : (
            <label>
              Token
              <input type="password" value={token} autocomplete="off" autofocus onInput={(e) => setToken(e.currentTarget.value)} />
              <small>
                {me.token_file ? (
                  <>
                    What is in the file <code>{me.token_file}</code> on this machine.
                  </>
                ) : (
                  <>
                    The value of <code>http.token</code>, or what is in the file <code>http-token</code> of ebb's state directory.
                  </>
                )}{" "}
                It is sent once; this browser keeps a session of 12 hours instead.
              </small>
            </label>
          )}
          <label>
            Your name (optional)
            <input value={name} maxLength={64} onInput={(e) => setName(e.currentTarget.value)} />
            <small>Stands in the events of what you do.</small>
          </label>
          {me.token && me.password && (
            <button type="button" class="link" onClick={() => setWithPassword(!withPassword)}>
              {withPassword ? "Use the token instead" : "Use a user and password, to look only"}
            </button>
          )}
        </Work>
      )}
    </Dialog>
  );
}

export function PauseDialog({ name, close }: { name: string; close: () => void }) {
  const [why, setWhy] = useState("");
  const [span, setSpan] = useState("1h");
  return (
    <Dialog title={`Pause ${name}`} close={close}>
      <p>Nothing is launched while it is paused. Idle instances go as usual, and running tasks go on.</p>
      <Work
        label="Pause"
        cancel={close}
        work={async () => {
          await post(of(name) + "/pause", { why, for: span });
          close();
        }}
      >
        <label>
          Reason
          <input value={why} maxLength={300} autofocus onInput={(e) => setWhy(e.currentTarget.value)} />
        </label>
        <label>
          For
          <select value={span} onChange={(e) => setSpan(e.currentTarget.value)}>
            <option value="15m">15 minutes</option>
            <option value="1h">1 hour</option>
            <option value="4h">4 hours</option>
            <option value="24h">1 day</option>
            <option value="">until somebody resumes it</option>
          </select>
        </label>
      </Work>
    </Dialog>
  );
}

export function ResumeDialog({ name, close }: { name: string; close: () => void }) {
  return (
    <Dialog title={`Resume ${name}`} close={close}>
      <p>Instances are launched again for the tasks that wait.</p>
      <Work
        label="Resume"
        cancel={close}
        work={async () => {
          await post(of(name) + "/resume");
          close();
        }}
      />
    </Dialog>
  );
}

// Told is the result of what was asked, in place of the question.
function Told({ close, children }: { close: () => void; children: ComponentChildren }) {
  return (
    <>
      <div role="status">{children}</div>
      <div class="buttons">
        <button type="button" class="primary" autofocus onClick={close}>
          Close
        </button>
      </div>
    </>
  );
}

export function IdleDialog({ name, resources, close }: { name: string; resources: Resource[]; close: () => void }) {
  const [resource, setResource] = useState("");
  const [done, setDone] = useState<string[]>();
  const idle = idleOf(resources, resource);
  return (
    <Dialog title="Shut down idle instances now" close={close}>
      {done ? (
        <Told close={close}>
          {done.length === 0 ? (
            <p>No instance was idle any more. Nothing is shut down.</p>
          ) : (
            <>
              <p>{count(done.length, "instance is", "instances are")} asked to stop taking work, and terminated once it is certain that they have none:</p>
              <ul class="lines">
                {done.map((id) => (
                  <li key={id}>
                    <code>{id}</code>
                  </li>
                ))}
              </ul>
            </>
          )}
        </Told>
      ) : (
        <Work
          label="Shut down idle instances"
          cancel={close}
          disabled={idle === 0}
          work={async () => setDone((await post<{ instances: string[] }>(of(name) + "/idle", { resource })).instances)}
        >
          <p role="status">
            {idle === 0
              ? "No instance is idle: there is nothing to shut down."
              : `${count(idle, "instance is", "instances are")} idle. Each is asked to stop taking work first; one that takes a task meanwhile stays.`}
          </p>
          <label>
            Resource type
            <select value={resource} onChange={(e) => setResource(e.currentTarget.value)}>
              <option value="">all</option>
              {resources.map((r) => (
                <option key={r.name}>{r.name}</option>
              ))}
            </select>
          </label>
        </Work>
      )}
    </Dialog>
  );
}

export function ReloadDialog({ close }: { close: () => void }) {
  const [done, setDone] = useState<Change>();
  return (
    <Dialog title="Reload the configuration" close={close}>
      {done ? (
        <Told close={close}>
          <p class="fine">The configuration was read again.</p>
          <Changes of={done} past />
          <p class="muted">What EC2 has refused for good is asked for again.</p>
        </Told>
      ) : (
        <>
          <p>ebb reads its configuration again. If it is not sound, the old one stays.</p>
          <Work label="Reload" cancel={close} work={async () => setDone(await post<Change>("/reload"))} />
        </>
      )}
    </Dialog>
  );
}

export function ExportDialog({ name, close }: { name: string; close: () => void }) {
  const [format, setFormat] = useState("yaml");
  const [secrets, setSecrets] = useState(false);
  return (
    <Dialog title={`Export ${name}`} close={close}>
      <Work
        label="Download"
        danger={secrets}
        cancel={close}
        work={async () => {
          const content = await postFile(of(name) + "/export", { format, secrets });
          save(`ebb-${name}.${format}`, "text/plain", content);
          close();
        }}
      >
        <label>
          Format
          <select value={format} onChange={(e) => setFormat(e.currentTarget.value)}>
            <option value="yaml">YAML</option>
            <option value="json">JSON</option>
          </select>
        </label>
        <label class="check">
          <input type="checkbox" checked={secrets} onChange={(e) => setSecrets(e.currentTarget.checked)} /> with its secrets, readable for whoever has the
          file
        </label>
      </Work>
    </Dialog>
  );
}

export function DrainDialog({ name, instance, close }: { name: string; instance: Instance; close: () => void }) {
  const [force, setForce] = useState(false);
  const [confirm, setConfirm] = useState("");
  const task = instance.task_name || instance.task;
  return (
    <Dialog title={`Drain ${instance.id}`} close={close}>
      <p>
        {task
          ? `It runs “${task}”, which ends first; then the instance is terminated.`
          : "It stops taking work, and is terminated once it is certain that it has none."}
      </p>
      <Work
        label={force ? "Kill it now" : "Drain"}
        danger={force}
        disabled={force && confirm !== instance.id}
        cancel={close}
        work={async () => {
          await post(of(name) + "/drain", { instance: instance.id, force, confirm });
          close();
        }}
      >
        <label class="check">
          <input type="checkbox" checked={force} onChange={(e) => setForce(e.currentTarget.checked)} /> by force, at once, whatever it runs
        </label>
        {force && (
          <label>
            <span>
              {task ? (
                <>
                  This kills the task <strong>{task}</strong>.{" "}
                </>
              ) : null}
              Type <code>{instance.id}</code> to confirm
            </span>
            <input value={confirm} autocomplete="off" spellcheck={false} onInput={(e) => setConfirm(e.currentTarget.value)} />
          </label>
        )}
      </Work>
    </Dialog>
  );
}

export function InstanceDialog(props: { instance: Instance; links: Links; clock: Clock; close: () => void; drain: () => void }) {
  useTick(1000);
  const i = props.instance;
  const now = props.clock.now();
  const spent = cost(i, now);
  const aws = fill(props.links.instance, i.id);
  const task = fill(props.links.task, i.task);
  return (
    <Dialog title={i.id} close={props.close}>
      <dl class="facts">
        <dt>Condition</dt>
        <dd>
          <Badge condition={i.condition} /> for {age(now, i.since)}
        </dd>
        {i.why && (
          <>
            <dt>Why</dt>
            <dd>{i.why}</dd>
          </>
        )}
        {i.notice && (
          <>
            <dt>Notice</dt>
            <dd>EC2 announced: {i.notice}</dd>
          </>
        )}
        <dt>Task</dt>
        <dd>{i.task ? <Out href={task}>{i.task_name || i.task}</Out> : "none"}</dd>
        <dt>Resource type</dt>
        <dd>{i.resource}</dd>
        <dt>Type</dt>
        <dd>
          {i.type} {i.market === "spot" ? "spot" : "on demand"} in {i.zone || "a zone that EC2 chose"}
        </dd>
        <dt>Launched</dt>
        <dd>{i.launched ? `${dateTime(i.launched)}, ${duration(now - i.launched)} ago` : "not known"}</dd>
        <dt>Estimated cost</dt>
        <dd>{spent === undefined ? "price not known" : `${dollars(spent)} so far, ${dollars(i.hourly_usd ?? 0)} an hour`}</dd>
        {i.worker && (
          <>
            <dt>Worker</dt>
            <dd>
              <code>{i.worker}</code>
            </dd>
          </>
        )}
      </dl>
      <div class="buttons">
        {aws && (
          <a class="button" href={aws} target="_blank" rel="noopener noreferrer">
            AWS console ↗
          </a>
        )}
        {task && (
          <a class="button" href={task} target="_blank" rel="noopener noreferrer">
            Task in ClearML ↗
          </a>
        )}
        <button type="button" class="danger" onClick={props.drain}>
          Drain…
        </button>
      </div>
    </Dialog>
  );
}

export function WhyDialog({ name, queue, clock, close }: { name: string; queue: Queue; clock: Clock; close: () => void }) {
  const [answer, setAnswer] = useState<{ summary: string; lines?: string[]; at: number }>();
  const [error, setError] = useState<unknown>();
  const ask = () => {
    setError(undefined);
    get<{ summary: string; lines?: string[] }>(`${of(name)}/explain?queue=${encodeURIComponent(queue.name)}`).then(
      (told) => setAnswer({ ...told, at: clock.now() }),
      (problem) => {
        setAnswer(undefined);
        setError(problem);
      },
    );
  };
  useEffect(ask, [queue.name]);
  return (
    <Dialog title={`Why do tasks wait in ${queue.name}?`} close={close}>
      <div aria-live="polite">
        {answer ? (
          <>
            <p class="summary">{answer.summary}</p>
            {answer.lines && (
              <ul class="lines">
                {answer.lines.map((line) => (
                  <li>{line}</li>
                ))}
              </ul>
            )}
          </>
        ) : error ? (
          <Wrong error={error} />
        ) : (
          <p>Asking the engine…</p>
        )}
      </div>
      {!error && (
        <dl class="numbers">
          <div>
            <dt>waiting</dt>
            <dd>{queue.waiting}</dd>
          </div>
          <div>
            <dt>covered</dt>
            <dd>{queue.covered}</dd>
          </div>
          <div>
            <dt>launching</dt>
            <dd>{queue.launching}</dd>
          </div>
          <div>
            <dt>not served</dt>
            <dd>{queue.unmet}</dd>
          </div>
        </dl>
      )}
      <div class="buttons">
        <button type="button" onClick={ask}>
          Ask again
        </button>
        {answer && <span class="muted">as of {clockTime(answer.at)}</span>}
      </div>
    </Dialog>
  );
}

const shortcuts: [string, string][] = [
  ["?", "this list"],
  ["/", "filter the instances"],
  ["q", "go to the queues"],
  ["r", "go to the resource types"],
  ["c", "go to the charts"],
  ["i", "go to the instances"],
  ["l", "go to the log"],
  ["f", "follow the log, or not"],
  ["p", "pause, or resume"],
  ["t", "light, dark, or as the system"],
  ["h", "go to the list of autoscalers"],
  ["Esc", "close what is open"],
];

export function HelpDialog({ close }: { close: () => void }) {
  return (
    <Dialog title="Keyboard" close={close}>
      <dl class="keys">
        {shortcuts.map(([key, what]) => (
          <div>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
