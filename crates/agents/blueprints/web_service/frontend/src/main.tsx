import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./app";
import "./styles/index.css";
import { applyStoredTheme } from "./theme";

const root = document.getElementById("root");
if (!root) {
  throw new Error("index.html has no element with the id root");
}

applyStoredTheme();
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
