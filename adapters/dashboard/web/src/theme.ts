// Runs before the page is drawn, so that it is never drawn in the wrong colors.
const stored = (() => {
  try {
    return localStorage.getItem("ebb-theme");
  } catch {
    return null;
  }
})();
if (stored === "dark" || stored === "light") document.documentElement.dataset.theme = stored;
