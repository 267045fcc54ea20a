/* One item, large: its frames, tokens and surprise, its numbers, its tags, and where else its codes occur. */
"use strict";

const MODES = [["frame", "frame only"], ["codes", "codes"], ["colours", "colours of codes"], ["surprise", "surprise"]];

class ItemView {
  constructor(dialog, closed) {
    this.dialog = dialog;
    this.list = [];
    this.item = null;
    this.frame = 0;
    this.mode = data.surprise ? "surprise" : "frame";
    this.running = false;
    for (const each of dialog.querySelectorAll("[id]")) this[each.id.replace("item-", "")] = each;
    this.layer = new Overlay(this.overlay, (position, code) => this.showCode(code));
    this.listen(closed);
    this.offerModes();
  }

  listen(closed) {
    this.previous.addEventListener("click", () => this.step(-1));
    this.next.addEventListener("click", () => this.step(1));
    this.close.addEventListener("click", () => this.dialog.close());
    this.play.addEventListener("click", () => this.run(!this.running));
    this.slider.addEventListener("input", () => {
      this.run(false);
      this.showFrame(Number(this.slider.value));
    });
    this.dialog.addEventListener("close", () => {
      this.run(false);
      state.item = null;
      remember();
      closed(this.item);
    });
  }

  offerModes() {
    const offered = MODES.filter(([mode]) => mode === "frame" || (mode === "surprise" ? data.surprise : data.tokens))
      .filter(([mode]) => mode !== "codes" || written(STAGE / data.tokens.grid[2]));
    this.modes.hidden = offered.length === 1;
    this.modes.append(...offered.map(([mode, label]) => {
      const attributes = {type: "radio", name: "mode", value: mode, checked: mode === this.mode, onchange: () => this.setMode(mode)};
      return make("label", {}, make("input", attributes), ` ${label}`);
    }));
    if (data.surprise) this.legend.append(heatLegend());
  }

  /* Open an item; `list` is what next and previous go through. */
  open(item, list, frame = 0, position = null) {
    this.list = list.includes(item) ? list : [item];
    if (!this.dialog.open) this.dialog.showModal();
    this.show(item, frame, position);
  }

  step(by) {
    const item = this.list[this.list.indexOf(this.item) + by];
    if (item !== undefined) this.show(item);
  }

  show(item, frame = 0, position = null) {
    this.run(false);
    this.item = item;
    state.item = item;
    remember();
    this.tokens = this.bits = null;
    this.layer.selected = position;
    this.title.textContent = shownNames[item];
    const place = this.list.indexOf(item);
    this.place.textContent = `${grouped(place + 1)} of ${grouped(this.list.length)}`;
    this.previous.disabled = place === 0;
    this.next.disabled = place === this.list.length - 1;
    this.films.hidden = !isFilm(item);
    this.slider.max = data.frames[item] - 1;
    this.showFacts();
    this.showFrames();
    this.code.replaceChildren();
    this.showFrame(frame);
    this.showTokens(position);
  }

  showFrame(frame) {
    const {item} = this;
    this.frame = frame;
    this.slider.value = frame;
    const said = isFilm(item) ? `frame ${frame + 1} of ${data.frames[item]}` : "";
    this.at.textContent = isFilm(item) ? `${said}, ${(frame / data.fps).toFixed(2)} s` : "";
    this.slider.setAttribute("aria-valuetext", said);
    this.picture.setAttribute("aria-label", `${described(item)}${said ? `; ${said}` : ""}`);
    showPicture(this.picture, item, frame, () => item === this.item && frame === this.frame);
    for (const [each, button] of [...this.strip.children].entries()) button.setAttribute("aria-pressed", each === frame);
    this.showLayer();
  }

  /* All frames, small, one after another. */
  showFrames() {
    const {item} = this, count = isFilm(item) ? data.frames[item] : 0;
    this.strip.replaceChildren(...Array.from({length: count}, (_, frame) => {
      const pick = () => {
        this.run(false);
        this.showFrame(frame);
      };
      const button = make("button", {type: "button", class: "picture", "aria-label": `frame ${frame + 1}`, onclick: pick});
      showPicture(button, item, frame);
      return button;
    }));
  }

  async showTokens(position) {
    const {item} = this;
    if (!data.tokens) return;
    const wanted = [tokensOf(item), data.surprise ? surpriseOf(item) : null];
    const [tokens, bits] = await Promise.all(wanted.map(each => Promise.resolve(each).catch(() => null)));
    if (item !== this.item || !tokens) return;
    this.tokens = tokens;
    this.bits = bits;
    this.showLayer();
    if (position !== null) this.showCode(tokens[position]);
  }

  showLayer() {
    const lacking = !this.tokens || (this.mode === "surprise" && !this.bits);
    this.overlay.hidden = this.mode === "frame" || lacking;
    this.legend.hidden = this.mode !== "surprise" || lacking;
    if (!this.overlay.hidden) this.layer.show(this.tokens, this.bits, latentOf(this.item, this.frame), this.mode);
  }

  setMode(mode) {
    this.mode = mode;
    this.showLayer();
  }

  showCode(code) {
    showCode(this.code, code, (item, frame, position) => {
      this.open(item, this.list.includes(item) ? this.list : [...data.names.keys()], frame, position);
      this.title.focus();
      this.dialog.scrollTop = 0;
    });
  }

  showFacts() {
    const {item} = this, rows = [["source", shownNames[item]], ["begins", data.starts[item] === null ? NONE : `${data.starts[item].toFixed(2)} s`]];
    rows.push(["frames", String(data.frames[item])]);
    for (const word of words.values()) rows.push([word.label, word.values[item] === null ? NONE : visible(word.choices[word.values[item]])]);
    for (const number of numbers.values()) rows.push([number.label, formatted(number, number.values[item])]);
    rows.push(["defects", defectsOf(item).join(", ") || "none found"]);
    this.facts.replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
    this.showFall();
    this.retag();
  }

  /* How surprise fell over the checkpoints of a training. */
  showFall() {
    const {item} = this;
    this.fall.replaceChildren();
    if (!data.checkpoints) return;
    const points = data.checkpoints.steps.map((step, index) => [step, data.checkpoints.bits[index][item]])
      .filter(point => point[1] !== null);
    if (!points.length) return;
    const said = points.map(([step, value]) => `${value.toFixed(2)} at step ${grouped(step)}`).join(", ");
    const chart = drawChart({
      lines: [{points, kind: "first"}], labels: ["step", "bits per token"],
      alt: `Surprise over checkpoints, bits per token: ${said}`, width: 340, height: 180,
    });
    this.fall.append(make("h3", {}, "Surprise over checkpoints"), chart.svg);
  }

  retag() {
    if (this.item !== null) this.tags.replaceChildren(...tagButtons(this.item));
  }

  run(running) {
    this.running = running && isFilm(this.item);
    this.play.textContent = this.running ? "Pause" : "Play";
    if (!this.running) return;
    const {item} = this, begun = performance.now() - 1000 * this.frame / data.fps;
    const step = now => {
      if (!this.running || item !== this.item) return;
      const frame = Math.max(0, Math.floor((now - begun) / 1000 * data.fps)) % data.frames[item];
      if (frame !== this.frame) this.showFrame(frame);
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    pressTag(event, this.item);
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!by || event.target.closest?.("input")) return;
    event.preventDefault();
    this.step(by);
  }
}

/* Buttons that give an item tags and take them. */
function tagButtons(item) {
  const has = tagsOf(item);
  return tags.known.map(tag => {
    const key = keyOf(tag);
    const button = make("button", {type: "button", class: "tag", "aria-pressed": has.includes(tag), onclick: () => toggleTag(item, tag)}, visible(tag));
    if (key) button.append(" ", make("kbd", {}, key));
    return button;
  });
}
