// The line over what is given: dragged over the picture it moves the slider, and the slider moves it.
(() => {
  const slider = () => document.querySelector("#given input[type=range]");
  const figure = () => document.querySelector("figure.given[data-axis]:not([data-axis=''])");

  const draw = (value) => {
    const shown = figure();
    if (shown) shown.style.setProperty("--share", `${(100 * value) / Number(shown.dataset.count)}%`);
  };

  const set = (value, done) => {
    const range = slider();
    if (!range) return;
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(range, value);
    range.dispatchEvent(new Event("input", {bubbles: true}));
    if (done) {
      range.dispatchEvent(new Event("change", {bubbles: true}));
      range.dispatchEvent(new PointerEvent("pointerup", {bubbles: true}));
    }
  };

  const follow = (event, done) => {
    const shown = figure();
    const box = shown.querySelector(".picture").getBoundingClientRect();
    const count = Number(shown.dataset.count);
    const share = shown.dataset.axis === "x" ? (event.clientX - box.left) / box.width : (event.clientY - box.top) / box.height;
    set(Math.min(count - 1, Math.max(1, Math.round(share * count))), done);
  };

  let dragging = false;
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest?.("figure.given .picture") || !figure()) return;
    event.preventDefault();
    dragging = true;
    follow(event, false);
  });
  document.addEventListener("pointermove", (event) => dragging && follow(event, false));
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, (event) => {
      if (!dragging) return;
      dragging = false;
      follow(event, true);
    });
  }
  document.addEventListener("input", (event) => {
    if (event.target.closest?.("#given")) draw(Number(event.target.value));
  });
})();
