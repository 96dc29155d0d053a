// Runs before the first paint, so that a chosen theme never flashes.
try {
  const theme = localStorage.getItem("theme")
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme
  if (localStorage.getItem("copilot") === "rail") document.documentElement.dataset.copilot = "rail"
} catch {
  // Storage may be closed to us; the system's theme then stands.
}
