import { useEffect, useRef, useState } from "react";

import { asApiError } from "../api/errors";
import { ChannelClient, type ConnectionState } from "./channel-client";
import { mergeMessages, type Message, pastPageSize, readPast } from "./message";

export interface Channel {
  state: ConnectionState;
  messages: readonly Message[];
  /** Who is here, by user name. */
  present: readonly string[];
  /** What the server refused last, or why the past could not be read. */
  problem: string | undefined;
  /** Whether there may be messages before the first one. */
  hasPast: boolean;
  send: (body: string) => boolean;
  loadPast: () => Promise<void>;
}

/** Joins a channel for as long as the component is there. */
export function useChannel(id: number): Channel {
  const client = useRef<ChannelClient>(undefined);
  const [state, setState] = useState<ConnectionState>("connecting");
  const [messages, setMessages] = useState<readonly Message[]>([]);
  const [present, setPresent] = useState<readonly string[]>([]);
  const [problem, setProblem] = useState<string>();
  const [hasPast, setHasPast] = useState(false);

  useEffect(() => {
    let first = true;
    const joined = new ChannelClient(id, {
      onState: setState,
      onHistory: (items) => {
        setMessages((known) => mergeMessages(known, items));
        if (first) {
          setHasPast(items.length >= pastPageSize);
          first = false;
        }
      },
      onMessage: (item) => {
        setMessages((known) => mergeMessages(known, [item]));
        setProblem(undefined);
      },
      onPresence: setPresent,
      onError: setProblem,
    });
    client.current = joined;
    return () => joined.close();
  }, [id]);

  async function loadPast() {
    try {
      const page = await readPast(id, messages.length);
      const merged = mergeMessages(page.items, messages);
      setMessages((known) => mergeMessages(page.items, known));
      setHasPast(page.items.length > 0 && merged.length < page.total);
    } catch (reason) {
      setProblem(asApiError(reason).message);
    }
  }

  return {
    state,
    messages,
    present,
    problem,
    hasPast,
    send: (body) => client.current?.send(body) ?? false,
    loadPast,
  };
}
