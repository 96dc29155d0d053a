import { describe, expect, it, vi } from "vitest";

import { applyStoredTheme, chooseTheme, currentTheme } from "./theme";

describe("the theme", () => {
  it("follows the system until one is chosen", () => {
    const matchMedia = vi.fn(() => ({ matches: true }));
    vi.stubGlobal("matchMedia", matchMedia);
    applyStoredTheme();
    expect(currentTheme()).toBe("dark");
    matchMedia.mockReturnValue({ matches: false });
    expect(currentTheme()).toBe("light");
  });

  it("survives a reload", () => {
    chooseTheme("dark");
    delete document.documentElement.dataset["theme"];
    applyStoredTheme();
    expect(currentTheme()).toBe("dark");
  });

  it("ignores what it did not store itself", () => {
    localStorage.setItem("theme", "sepia");
    applyStoredTheme();
    expect(document.documentElement.dataset["theme"]).toBeUndefined();
  });
});
