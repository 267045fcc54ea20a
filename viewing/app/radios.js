// The radio buttons of a question are one group, which arrow keys go through and Tab leaves. Gradio names each of them
// apart, and again whenever it draws one.
(() => {
  const join = () => {
    for (const radio of document.querySelectorAll("fieldset[id] input[type=radio]")) {
      const name = radio.closest("fieldset").id;
      if (radio.name !== name) radio.name = name;
    }
  };
  new MutationObserver(join).observe(document, {subtree: true, childList: true, attributeFilter: ["name"]});
})();
