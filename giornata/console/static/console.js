// Inside Airflow's frame: take on Airflow's light or dark, and open links to Airflow in Airflow itself, since the
// frame's sandbox forbids target="_top". Alone in a tab none of this applies and the pages need no script.
(() => {
  let outer = null;
  try {
    outer = window.parent !== window && window.parent.document;
  } catch {
    return; // framed by another origin
  }
  if (!outer) return;
  const follow = () => {
    const classes = outer.documentElement.classList;
    const theme = classes.contains("dark") ? "dark" : classes.contains("light") ? "light" : "";
    document.documentElement.dataset.theme = theme;
  };
  follow();
  new MutationObserver(follow).observe(outer.documentElement, { attributeFilter: ["class"] });
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[data-airflow]");
    if (!link) return;
    event.preventDefault();
    const out = outer.createElement("a");
    out.href = new URL(link.href).pathname;
    outer.body.appendChild(out);
    out.click();
    out.remove();
  });
})();
