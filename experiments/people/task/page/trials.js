/* Two plugins of jsPsych: a picture in a stream, and a choice between two. Both time what they show by frames. */
"use strict";

window.Secondsight ??= {};

(() => {
  const {ParameterType} = jsPsychModule;
  const DATA = {
    response: {type: ParameterType.STRING},
    reaction: {type: ParameterType.FLOAT},
    onset: {type: ParameterType.FLOAT},
    shown: {type: ParameterType.FLOAT},
    hidden: {type: ParameterType.BOOL},
    interrupted: {type: ParameterType.BOOL},
  };

  const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

  /* The median time between two frames, in milliseconds. */
  async function frameTime(frames = 31) {
    const times = [];
    while (times.length < frames) {
      times.push(await nextFrame());
    }
    const gaps = times.slice(1).map((time, index) => time - times[index]);
    return gaps.sort((one, other) => one - other)[Math.floor(gaps.length / 2)];
  }

  async function decoded(source, alt) {
    const image = new Image();
    image.alt = alt;
    image.src = source;
    image.draggable = false;
    await image.decode();
    return image;
  }

  /* Takes the first answer, by a key or by a button, and knows whether the page was out of sight. */
  class Listener {
    constructor(element, keys, onAnswer = () => {}) {
      this.answer = null;
      this.hidden = document.hidden;
      this.answered = new Promise((resolve) => {
        this.take = (response, time) => {
          if (this.answer === null && this.open) {
            this.answer = {response, time};
            onAnswer(response);
            resolve();
          }
        };
      });
      this.open = false;
      this.onKey = (event) => {
        const response = keys[event.key];
        if (response !== undefined) {
          event.preventDefault();
          if (!event.repeat) {
            this.take(response, event.timeStamp);
          }
        }
      };
      this.onHidden = () => {
        this.hidden ||= document.hidden;
      };
      this.onClick = (event) => {
        const button = event.target.closest("[data-response]");
        if (button) {
          this.take(button.dataset.response, event.timeStamp);
        }
      };
      this.element = element;
      document.addEventListener("keydown", this.onKey);
      document.addEventListener("visibilitychange", this.onHidden);
      element.addEventListener("click", this.onClick);
    }

    close() {
      document.removeEventListener("keydown", this.onKey);
      document.removeEventListener("visibilitychange", this.onHidden);
      this.element.removeEventListener("click", this.onClick);
    }

    /* What is kept of an answer to what was on the screen between two times of frames. */
    data(onset, offset, otherwise) {
      return {
        response: this.answer?.response ?? otherwise,
        reaction: this.answer === null ? null : Math.max(0, this.answer.time - onset),
        onset: Math.round(performance.timeOrigin + onset),
        shown: Number((offset - onset).toFixed(1)),
        hidden: this.hidden,
        interrupted: false,
      };
    }
  }

  /* The first frame whose time is nearer to `end` than that of the next one will be. */
  async function frameAt(end, frame) {
    let now = performance.now();
    while (now < end - frame / 2) {
      now = await nextFrame();
    }
    return now;
  }

  function makeHeading(text, kind) {
    const element = document.createElement("h1");
    element.className = kind;
    element.textContent = text;
    return element;
  }

  function button(text, response, key) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = "jspsych-btn";
    element.dataset.response = response;
    element.textContent = text;
    const hint = document.createElement("kbd");
    hint.textContent = key;
    hint.setAttribute("aria-hidden", "true");
    element.append(" ", hint);
    return element;
  }

  const BUTTONS = {
    vigilance: [["Seen before", "repeat", "space bar"]],
    continuous: [["New", "new", "←"], ["Seen before", "repeat", "→"]],
  };
  const KEYS = {
    vigilance: {" ": "repeat"},
    continuous: {ArrowLeft: "new", ArrowRight: "repeat"},
    "2afc": {ArrowLeft: "left", ArrowRight: "right"},
  };

  class PictureTrial {
    static info = {
      name: "secondsight-picture",
      version: "1.0.0",
      parameters: {
        source: {type: ParameterType.STRING},
        asked: {type: ParameterType.BOOL},
        task: {type: ParameterType.STRING},
        condition: {type: ParameterType.STRING},
        show: {type: ParameterType.FLOAT},
        blank: {type: ParameterType.FLOAT},
        frame: {type: ParameterType.FLOAT},
        begin: {type: ParameterType.FUNCTION},
        feedback: {type: ParameterType.BOOL},
      },
      data: DATA,
    };

    async trial(display, trial, onLoad) {
      const question = trial.task === "vigilance" ? "Seen before?" : "New, or seen before?";
      const heading = makeHeading(trial.asked ? question : "Remember the picture", "unseen");
      const stage = document.createElement("div");
      stage.className = "stage";
      const mark = document.createElement("p");
      mark.className = "mark";
      mark.setAttribute("role", "status");
      const buttons = document.createElement("div");
      buttons.className = "answers";
      buttons.append(...(trial.asked ? BUTTONS[trial.task] : []).map((each) => button(...each)));
      display.replaceChildren(heading, stage, mark, buttons);
      const listener = new Listener(display, trial.asked ? KEYS[trial.task] : {}, (response) => {
        const right = response === trial.condition;
        if (trial.feedback) {
          mark.textContent = right ? "✓ right" : "✗ no";
          mark.className = right ? "mark right" : "mark wrong";
        }
        buttons.querySelector(`[data-response="${response}"]`).classList.add("chosen");
      });
      onLoad();
      const image = await decoded(trial.source, "Picture");
      const onset = await nextFrame();
      trial.begin();
      stage.append(image);
      listener.open = true;
      const offset = await frameAt(onset + trial.show, trial.frame);
      image.remove();
      /* The next picture comes a frame after this trial has ended. */
      await frameAt(offset + trial.blank - trial.frame, trial.frame);
      listener.close();
      return listener.data(onset, offset, trial.asked && trial.task === "vigilance" ? "new" : "");
    }
  }

  class ChoiceTrial {
    static info = {
      name: "secondsight-choice",
      version: "1.0.0",
      parameters: {
        left: {type: ParameterType.STRING},
        right: {type: ParameterType.STRING},
        studied: {type: ParameterType.STRING},
        limit: {type: ParameterType.FLOAT, default: null},
        frame: {type: ParameterType.FLOAT},
        begin: {type: ParameterType.FUNCTION},
      },
      data: DATA,
    };

    async trial(display, trial, onLoad) {
      const question = makeHeading("Which one did you see before?", "question");
      const pair = document.createElement("div");
      pair.className = "pair";
      display.replaceChildren(question, pair);
      const listener = new Listener(display, KEYS["2afc"]);
      onLoad();
      const images = await Promise.all([decoded(trial.left, "Left picture"), decoded(trial.right, "Right picture")]);
      const onset = await nextFrame();
      trial.begin();
      pair.append(choice(images[0], "left"), choice(images[1], "right"));
      listener.open = true;
      const end = trial.limit === null ? new Promise(() => {}) : frameAt(onset + trial.limit, trial.frame);
      await Promise.race([listener.answered, end]);
      const offset = performance.now();
      listener.close();
      display.replaceChildren();
      const data = listener.data(onset, offset, "");
      const side = data.response;
      return {...data, response: side && (side === trial.studied ? "studied" : "foil")};
    }
  }

  function choice(image, side) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = "choice";
    element.dataset.response = side;
    const hint = document.createElement("kbd");
    hint.textContent = side === "left" ? "←" : "→";
    hint.setAttribute("aria-hidden", "true");
    element.append(image, hint);
    return element;
  }

  Object.assign(window.Secondsight, {ChoiceTrial, PictureTrial, frameTime});
})();
