/** Light or dark: the system's choice until a person makes another, which this browser then keeps. */
export type Theme = "light" | "dark";

const key = "theme";

export function applyStoredTheme(): void {
  const stored = localStorage.getItem(key);
  if (stored === "light" || stored === "dark") {
    document.documentElement.dataset["theme"] = stored;
  }
}

export function currentTheme(): Theme {
  const chosen = document.documentElement.dataset["theme"];
  if (chosen === "light" || chosen === "dark") {
    return chosen;
  }
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function chooseTheme(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
  localStorage.setItem(key, theme);
}
