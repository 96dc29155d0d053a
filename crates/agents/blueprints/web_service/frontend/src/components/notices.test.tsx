import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";

import { NoticesProvider, useNotify } from "./notices";

function Speaker() {
  const notify = useNotify();
  return <button onClick={() => notify("Done.")}>Speak</button>;
}

afterEach(() => {
  vi.useRealTimers();
});

describe("a notice", () => {
  it("is announced and goes away by itself", () => {
    vi.useFakeTimers();
    render(
      <NoticesProvider>
        <Speaker />
      </NoticesProvider>,
    );
    fireEvent.click(screen.getByRole("button"));
    expect(screen.getByRole("status").textContent).toBe("Done.");
    act(() => vi.advanceTimersByTime(5000));
    expect(screen.getByRole("status").textContent).toBe("");
  });
});
