import { vi } from "vitest";

/** A request as the server would have seen it. */
export interface Call {
  /** `GET /rooms`: method and path below /api. */
  route: string;
  query: URLSearchParams;
  headers: Headers;
  body: unknown;
}

type Answer = (call: Call) => Response | Promise<Response>;

export function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/json" },
  });
}

/** An error as FastAPI words it. */
export function refusal(status: number, detail: unknown): Response {
  return json({ detail }, status);
}

export function fieldRefusal(name: string, message: string): Response {
  return refusal(422, [{ loc: ["body", name], msg: message, type: "value_error" }]);
}

export function pageOf<T>(items: T[], total = items.length) {
  return { items, total, page: 1, page_size: 20 };
}

/** Stands in for the server: answers what it was told to answer, and remembers what it was asked. */
export class ApiStub {
  readonly calls: Call[] = [];
  readonly #answers = new Map<string, Answer>();

  /** From now on the browser's requests come here. */
  install(): this {
    vi.stubGlobal("fetch", (address: string, init?: RequestInit) => this.#answer(address, init));
    return this;
  }

  /** Answers the route with the function's response, or with this body as JSON. */
  on(route: string, answer: Answer | object): this {
    const given = typeof answer === "function" ? (answer as Answer) : () => json(answer);
    this.#answers.set(route, given);
    return this;
  }

  callsTo(route: string): Call[] {
    return this.calls.filter((call) => call.route === route);
  }

  /** The newest request of that route; fails when there was none. */
  last(route: string): Call {
    const call = this.callsTo(route).at(-1);
    if (!call) {
      throw new Error(`${route} was never requested`);
    }
    return call;
  }

  async #answer(address: string, init: RequestInit = {}): Promise<Response> {
    const url = new URL(address, "http://stub");
    const text = typeof init.body === "string" ? init.body : undefined;
    const call: Call = {
      route: `${init.method ?? "GET"} ${url.pathname.replace(/^\/api/, "")}`,
      query: url.searchParams,
      headers: new Headers(init.headers),
      body: text === undefined ? init.body : JSON.parse(text),
    };
    this.calls.push(call);
    const answer = this.#answers.get(call.route);
    return answer ? answer(call) : refusal(404, `No answer was prepared for ${call.route}`);
  }
}
