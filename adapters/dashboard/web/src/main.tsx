import "uplot/dist/uPlot.min.css";
import "./style.css";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get, remove, unauthorized } from "./api";
import { autoscalerOf } from "./format";
import { HelpDialog, SignIn } from "./dialogs";
import { ListPage } from "./list";
import { AutoscalerPage, useKeys } from "./page";
import type { Head, Me } from "./types";
import { Wrong } from "./ui";
import { WizardPage } from "./wizard";

function App() {
  const [path, setPath] = useState(location.pathname + location.search);
  const [me, setMe] = useState<Me>();
  const [names, setNames] = useState<string[]>([]);
  const [error, setError] = useState<unknown>();
  const [dialog, setDialog] = useState<"help" | { then: () => void }>();
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "system");

  const load = () =>
    get<Me>("/me").then((found) => {
      setMe(found);
      setError(undefined);
      if (found.read)
        get<{ autoscalers: Head[] }>("/autoscalers").then((list) => {
          const all = list.autoscalers.map((a) => a.name);
          setNames(all);
          if (location.pathname === "/" && all.length === 1) go("/a/" + encodeURIComponent(all[0]!), true);
        }, setError);
    }, setError);
  // look asks again what may be done here: a restart of ebb ends sessions, and so does
  // the time.
  const look = () => void get<Me>("/me").then(setMe, () => undefined);
  useEffect(() => {
    void load();
    const back = () => setPath(location.pathname + location.search);
    addEventListener("popstate", back);
    addEventListener(unauthorized, look);
    return () => {
      removeEventListener("popstate", back);
      removeEventListener(unauthorized, look);
    };
  }, []);
  useEffect(() => {
    if (!error) return;
    const timer = setTimeout(load, 3000);
    return () => clearTimeout(timer);
  }, [error]);

  const go = (to: string, instead = false) => {
    history[instead ? "replaceState" : "pushState"](null, "", to);
    setPath(to);
    document.getElementById("main")?.focus({ preventScroll: true });
    scrollTo(0, 0);
  };
  const link = (to: string) => (e: Event) => {
    const m = e as MouseEvent;
    if (m.ctrlKey || m.metaKey || m.shiftKey || m.button) return;
    e.preventDefault();
    go(to);
  };
  const nextTheme = () => {
    const next = theme === "system" ? "dark" : theme === "dark" ? "light" : "system";
    setTheme(next);
    try {
      if (next === "system") localStorage.removeItem("ebb-theme");
      else localStorage.setItem("ebb-theme", next);
    } catch {
      // the choice holds for this page only
    }
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
  };
  useKeys({ "?": () => setDialog("help"), t: nextTheme, h: () => go("/") });

  const url = new URL(path, location.origin);
  const name = autoscalerOf(url.pathname);
  const signIn = (then: () => void) => setDialog({ then });
  return (
    <>
      <header class="top">
        <a href="/" class="brand" onClick={link("/")}>
          <img src="/icon.svg" alt="" width="22" height="22" /> ebb
        </a>
        <nav aria-label="Autoscalers">
          {names.length > 1 && (
            <select aria-label="Autoscaler" value={name ?? ""} onChange={(e) => go(e.currentTarget.value ? "/a/" + encodeURIComponent(e.currentTarget.value) : "/")}>
              <option value="">all autoscalers</option>
              {names.map((n) => (
                <option key={n}>{n}</option>
              ))}
            </select>
          )}
        </nav>
        <div class="top-tools">
          <button type="button" class="icon" onClick={nextTheme} aria-label={`Colors: ${theme}. Change`} title={`Colors: ${theme}`}>
            {theme === "dark" ? "☾" : theme === "light" ? "☀" : "◐"}
          </button>
          <button type="button" class="icon" onClick={() => setDialog("help")} aria-label="Keyboard shortcuts" title="Keyboard shortcuts">
            ?
          </button>
          {!me ? (
            <button type="button" class="later" disabled>
              Sign in
            </button>
          ) : (
            (me.act || (me.read && me.by !== "dashboard") ? (
              <button type="button" onClick={() => void remove("/session").then(load, setError)}>
                Sign out
              </button>
            ) : (
              <button type="button" onClick={() => signIn(() => undefined)}>
                Sign in
              </button>
            )
          ))}
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {error !== undefined && <Wrong error={error} />}
        {!me ? null : !me.read ? (
          <div class="gate">
            <h1>Sign in to look</h1>
            <p>This dashboard can be reached from other machines, so that looking needs the token as well.</p>
            <button type="button" class="primary" onClick={() => signIn(() => undefined)}>
              Sign in
            </button>
          </div>
        ) : name !== undefined ? (
          <AutoscalerPage key={name} name={name} me={me} theme={theme} signIn={signIn} go={go} link={link} look={look} />
        ) : url.pathname === "/new" ? (
          <WizardPage key={path} me={me} from={url.searchParams.get("from") ?? ""} running={names} signIn={signIn} />
        ) : (
          <ListPage me={me} link={link} look={look} />
        )}
      </main>
      <footer class="foot">
        {me && <>ebb {me.version} · </>}
        <a href="/licenses.txt">licences of what this page is made of</a>
      </footer>
      {dialog === "help" && <HelpDialog close={() => setDialog(undefined)} />}
      {dialog && dialog !== "help" && me && (
        <SignIn
          me={me}
          close={() => setDialog(undefined)}
          done={() => {
            const { then } = dialog;
            setDialog(undefined);
            void load()?.then(then);
          }}
        />
      )}
    </>
  );
}

render(<App />, document.getElementById("app")!);
