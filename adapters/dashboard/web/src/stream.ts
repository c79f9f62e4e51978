// The connection to a stream: opened again when it breaks, closed while nobody
// looks at the page.

export type State = "connecting" | "live" | "broken";

export interface Handlers {
  event: (name: string, data: unknown) => void;
  state: (state: State) => void;
  // look is called when the connection breaks, also one that was refused, and when it
  // is there again: what answers now may be another process, which knows no session
  // of the last one. EventSource does not tell why it was refused.
  look: () => void;
}

const patience = 8_000;
const hiddenFor = 60_000;

export class Stream {
  private source: EventSource | undefined;
  private heard = 0;
  private watch: ReturnType<typeof setInterval>;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private hide: ReturnType<typeof setTimeout> | undefined;
  private pause = 500;
  private ended = false;
  private lost = false;

  constructor(
    private readonly path: string,
    private readonly names: string[],
    private readonly on: Handlers,
  ) {
    this.open();
    this.watch = setInterval(() => {
      if (this.source && performance.now() - this.heard > patience) this.again();
    }, 2_000);
    document.addEventListener("visibilitychange", this.seen);
  }

  private open(): void {
    if (this.ended) return;
    this.on.state("connecting");
    this.heard = performance.now();
    const source = new EventSource("/api/v1" + this.path);
    this.source = source;
    for (const name of this.names)
      source.addEventListener(name, (message) => {
        this.heard = performance.now();
        this.pause = 500;
        this.on.state("live");
        if (this.lost) {
          this.lost = false;
          this.on.look();
        }
        this.on.event(name, JSON.parse((message as MessageEvent<string>).data));
      });
    source.onerror = () => this.again();
  }

  // again closes the connection and opens a new one after a pause that grows.
  again(): void {
    this.source?.close();
    this.source = undefined;
    this.on.state("broken");
    this.lost = true;
    this.on.look();
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.open(), this.pause);
    this.pause = Math.min(15_000, this.pause * 2);
  }

  // restart is again, at once.
  restart(): void {
    this.pause = 0;
    this.again();
    this.pause = 500;
  }

  private seen = (): void => {
    clearTimeout(this.hide);
    if (document.hidden) {
      this.hide = setTimeout(() => {
        this.source?.close();
        this.source = undefined;
        clearTimeout(this.retry);
      }, hiddenFor);
    } else if (!this.source) {
      this.restart();
    }
  };

  close(): void {
    this.ended = true;
    this.source?.close();
    clearInterval(this.watch);
    clearTimeout(this.retry);
    clearTimeout(this.hide);
    document.removeEventListener("visibilitychange", this.seen);
  }
}
