import { act, renderHook, waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { useLoad } from "./use-load";

/** Promises that are kept when the test says so. */
function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<T>((keep, break_) => {
    resolve = keep;
    reject = break_;
  });
  return { promise, resolve, reject };
}

describe("loading", () => {
  it("drops an answer that a newer question has overtaken", async () => {
    const answers = { a: deferred<string>(), b: deferred<string>() };
    const { result, rerender } = renderHook(
      ({ key }: { key: "a" | "b" }) => useLoad(key, () => answers[key].promise),
      { initialProps: { key: "a" } },
    );
    rerender({ key: "b" });
    await act(async () => answers.b.resolve("from b"));
    await act(async () => answers.a.resolve("from a"));
    expect(result.current.data).toBe("from b");
    expect(result.current.loading).toBe(false);
  });

  it("keeps what it had when a reload fails", async () => {
    let attempts = 0;
    const { result } = renderHook(() =>
      useLoad("key", () => {
        attempts += 1;
        return attempts === 1 ? Promise.resolve("first") : Promise.reject(new Error("no"));
      }),
    );
    await waitFor(() => expect(result.current.data).toBe("first"));
    act(() => result.current.reload());
    await waitFor(() => expect(result.current.error).toBeDefined());
    expect(result.current.data).toBe("first");
  });
});
