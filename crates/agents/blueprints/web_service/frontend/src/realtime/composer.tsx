import { type FormEvent, type KeyboardEvent, useState } from "react";

import { Icon } from "../components/icon";

/** Longest message that the server takes, in characters. */
const longest = 10_000;

interface ComposerProps {
  /** While there is no connection; what was typed stays. */
  disabled: boolean;
  /** Answers whether the message was handed over. */
  onSend: (body: string) => boolean;
}

/** Enter sends, Shift and Enter begins a new line. */
export function Composer({ disabled, onSend }: ComposerProps) {
  const [text, setText] = useState("");
  const ready = !disabled && text.trim() !== "";

  function send() {
    if (ready && onSend(text.trim())) {
      setText("");
    }
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    send();
  }

  function sendOnEnter(event: KeyboardEvent) {
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      send();
    }
  }

  return (
    <form className="composer" onSubmit={submit}>
      <textarea
        rows={1}
        aria-label="Message"
        placeholder="Write a message"
        maxLength={longest}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={sendOnEnter}
      />
      <button
        type="submit"
        className="button button-primary button-icon"
        disabled={!ready}
        aria-label="Send"
      >
        <Icon name="send" />
      </button>
    </form>
  );
}
