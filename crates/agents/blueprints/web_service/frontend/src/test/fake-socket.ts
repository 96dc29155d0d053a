import { act } from "@testing-library/react";
import { vi } from "vitest";

/** Stands in for the browser's WebSocket: the test plays the server. */
export class FakeSocket extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  /** All that were opened since install, oldest first. */
  static all: FakeSocket[] = [];

  readonly address: string;
  readonly sent: unknown[] = [];
  readyState = FakeSocket.CONNECTING;

  constructor(address: string) {
    super();
    this.address = address;
    FakeSocket.all.push(this);
  }

  static install(): void {
    FakeSocket.all = [];
    vi.stubGlobal("WebSocket", FakeSocket);
  }

  /** The newest one; fails when none was opened. */
  static get newest(): FakeSocket {
    const socket = FakeSocket.all.at(-1);
    if (!socket) {
      throw new Error("No connection was opened");
    }
    return socket;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.readyState = FakeSocket.CLOSED;
  }

  /** The server accepts the connection. */
  open(): void {
    this.readyState = FakeSocket.OPEN;
    act(() => void this.dispatchEvent(new Event("open")));
  }

  /** The server sends an event, or raw text. */
  receive(event: unknown): void {
    const data = typeof event === "string" ? event : JSON.stringify(event);
    act(() => void this.dispatchEvent(new MessageEvent("message", { data })));
  }

  /** The connection ends. */
  drop(code: number): void {
    this.readyState = FakeSocket.CLOSED;
    const event = Object.assign(new Event("close"), { code });
    act(() => void this.dispatchEvent(event));
  }
}
