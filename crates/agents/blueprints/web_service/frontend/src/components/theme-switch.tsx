import { useState } from "react";

import { chooseTheme, currentTheme } from "../theme";
import { Icon } from "./icon";

export function ThemeSwitch() {
  const [theme, setTheme] = useState(currentTheme);
  const other = theme === "dark" ? "light" : "dark";
  const label = `Use the ${other} theme`;

  function change() {
    chooseTheme(other);
    setTheme(other);
  }

  return (
    <button
      type="button"
      className="button button-quiet button-icon"
      onClick={change}
      aria-label={label}
      title={label}
    >
      <Icon name={theme === "dark" ? "sun" : "moon"} />
    </button>
  );
}
