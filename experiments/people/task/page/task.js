/* The session: who takes part, what they see in which order, and where their answers go. */
"use strict";

(() => {
  const {ChoiceTrial, PictureTrial, frameTime, list} = Secondsight;
  const {Moved, Records, Shelf, isCode, randomBelow, randomCode} = Secondsight;
  const {settings} = list;
  const address = new URLSearchParams(location.search);
  const template = (name) => document.getElementById(name).innerHTML;
  const shelves = new Shelf(`secondsight:${list.id}:`);

  /* Who takes part: named in the address, or whoever began in this browser, or somebody new. */
  function findParticipant() {
    const given = address.get("participant");
    if (given !== null && !isCode(given)) {
      throw new Error(`the participant in the address must be a code of letters, digits, - and _, and not ${given}`);
    }
    const code = given ?? shelves.get("current") ?? randomCode();
    if (given === null) {
      shelves.set("current", code);
    }
    return code;
  }

  function findVersion() {
    const given = address.get("version");
    const known = Object.keys(list.study);
    if (given !== null && !known.includes(given)) {
      throw new Error(`the version in the address must be ${known.join(" or ")}`);
    }
    return given ?? known[randomBelow(known.length)];
  }

  function findOrder() {
    const given = address.get("order");
    if (given !== null && !(/^\d{1,6}$/.test(given) && Number(given) < list.orders)) {
      throw new Error(`the order in the address must be a number from 0 to ${list.orders - 1}`);
    }
    return given === null ? randomBelow(list.orders) : Number(given);
  }

  function findSession(participant, shelf) {
    const kept = shelf.get("session");
    if (kept !== null) {
      return JSON.parse(kept);
    }
    return {
      id: list.id,
      participant,
      list: list.name,
      version: findVersion(),
      order: findOrder(),
      seed: list.seed,
      began: new Date().toISOString(),
      finished: null,
      sittings: [],
    };
  }

  async function sitting() {
    return {
      began: new Date().toISOString(),
      user_agent: navigator.userAgent,
      language: navigator.language,
      screen: [screen.width, screen.height],
      window: [innerWidth, innerHeight],
      device_pixel_ratio: devicePixelRatio,
      touch_points: navigator.maxTouchPoints,
      frame: Number((await frameTime()).toFixed(3)),
    };
  }

  /* A script, because a page that lies on a disk may not fetch files beside it. */
  function load(source) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = source;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${source} cannot be loaded`));
      document.head.append(script);
    });
  }

  /* Every picture of the stream and every choice, in order. */
  function makeSteps(order, version) {
    const study = list.study[version];
    /* Where nothing comes again nobody is asked about it. */
    const asked = settings.task === "continuous" || order.lags.some((lag) => lag > 0);
    const pictures = order.stream.map((index, trial) => ({
      asked,
      task: settings.task === "2afc" ? "vigilance" : "continuous",
      trial,
      item: list.images[study[index]].path,
      condition: order.lags[trial] ? "repeat" : "new",
      lag: order.lags[trial] || null,
      images: [list.images[study[index]].file],
    }));
    return [...pictures, ...order.trials.map((index, trial) => makeChoice(order, version, index, trial))];
  }

  function makeChoice(order, version, index, trial) {
    const {item, condition, studied, foil} = list.trials[index];
    const pair = (version === "swapped" ? [foil, studied] : [studied, foil]).map((each) => list.images[each].file);
    const side = order.left[trial] ? "left" : "right";
    return {task: "2afc", trial, item, condition, side, images: side === "left" ? pair : pair.reverse()};
  }

  function makeScreen(name, choice, extra = {}) {
    return {
      type: jsPsychHtmlButtonResponse,
      stimulus: template(name),
      choices: [choice],
      on_load: () => document.querySelector("#task h1")?.focus(),
      ...extra,
    };
  }

  /* Who cannot come back is told so before they begin. */
  function makeWelcome(shelf) {
    return makeScreen("welcome", "I agree, begin", {
      on_load: () => {
        document.querySelector("#not-kept").hidden = shelf.lasting;
        document.querySelector("#task h1").focus();
      },
    });
  }

  function makeBreak(done, all, sendSome) {
    return makeScreen("break", "Go on", {
      stimulus: template("break").replace("{done}", Math.round((100 * done) / all)),
      on_start: sendSome,
      enable_button_after: settings.pause,
    });
  }

  function preload(steps) {
    return {
      type: jsPsychPreload,
      images: [...new Set(steps.flatMap((step) => step.images))],
      message: "<p>Loading pictures</p>",
      error_message: template("not-loaded"),
    };
  }

  function makeTrial(step, index, records, frame) {
    const common = {
      frame,
      begin: () => records.begin(index),
      on_finish: ({response, reaction, onset, shown, hidden, interrupted}) =>
        records.add({response, reaction, onset, shown, hidden, interrupted}),
    };
    if (step.task === "2afc") {
      const [left, right] = step.images;
      return {type: ChoiceTrial, left, right, studied: step.side, limit: settings.limit, ...common};
    }
    const {asked, task, condition, images} = step;
    const {show, blank, feedback} = settings;
    return {type: PictureTrial, source: images[0], asked, task, condition, show, blank, feedback, ...common};
  }

  /* Steps in blocks, of which none holds both pictures to study and choices; each begins with its first index. */
  function makeBlocks(steps, first) {
    const blocks = [];
    for (let index = first; index < steps.length; index++) {
      const step = steps[index];
      if (index === first || step.trial % settings.break_every === 0) {
        blocks.push({first: index, steps: []});
      }
      blocks.at(-1).steps.push(step);
    }
    return blocks;
  }

  function makeTimeline(steps, records, frame, sendSome) {
    const done = records.answers.length;
    const timeline = [done ? makeScreen("again", "Go on") : makeWelcome(records.shelf)];
    for (const {first, steps: block} of makeBlocks(steps, done)) {
      const {task, trial} = block[0];
      if (trial === 0 || (first === done && done > 0)) {
        timeline.push(makeScreen(`instructions-${task}`, "Start"));
      } else {
        timeline.push(makeBreak(first, steps.length, sendSome));
      }
      timeline.push(preload(block));
      timeline.push(...block.map((step, index) => makeTrial(step, first + index, records, frame)));
    }
    return timeline;
  }

  function show(name) {
    const display = document.getElementById("task");
    display.innerHTML = template(name);
    display.querySelector("h1").focus();
    return display;
  }

  function offer(link, name, text, kind) {
    link.download = name;
    link.href = URL.createObjectURL(new Blob([text], {type: kind}));
  }

  async function showEnd(records, steps) {
    const {participant} = records.session;
    const display = show("end");
    offer(display.querySelector("#answers"), `${participant}.csv`, records.csv(steps), "text/csv");
    const record = JSON.stringify(records.record(steps), null, 2);
    offer(display.querySelector("#record"), `${participant}.json`, record, "application/json");
    display.querySelector("#another").addEventListener("click", () => {
      shelves.remove("current");
      address.delete("participant");
      location.replace(`?${address}`);
    });
    if (Secondsight.collector) {
      display.querySelector("#retry").addEventListener("click", () => sendAll(display, records, steps));
      await sendAll(display, records, steps);
    }
  }

  async function sendAll(display, records, steps) {
    const status = display.querySelector("#sent");
    const retry = display.querySelector("#retry");
    retry.hidden = true;
    status.textContent = "Your answers are being sent.";
    const wrong = await records.send(Secondsight.collector, steps);
    status.textContent = wrong
      ? `Your answers could not be sent: ${wrong}. Please try again, or save them and give them to the experimenter.`
      : "Your answers were sent. Thank you!";
    retry.hidden = !wrong;
    display.dataset.sent = wrong ? "no" : "yes";
  }

  /* What jsPsych still does goes on out of sight, up to the next answer that it would keep. */
  function showMoved() {
    const display = document.getElementById("task");
    display.replaceWith(display.cloneNode());
    show("moved").querySelector("#here").addEventListener("click", () => location.reload());
  }

  /* Other tabs are heard of at once where they write, even if nothing happens here. */
  function watchTabs(shelf) {
    const watch = new AbortController();
    const look = () => {
      if (shelf.moved) {
        watch.abort();
        showMoved();
      }
    };
    addEventListener("storage", look, {signal: watch.signal});
  }

  function checkScripts() {
    if (!["initJsPsych", "jsPsychHtmlButtonResponse", "jsPsychPreload"].every((name) => window[name])) {
      throw new Error("the scripts of jsPsych cannot be loaded");
    }
  }

  async function run() {
    checkScripts();
    document.documentElement.style.setProperty("--size", `${settings.image_size}px`);
    const participant = findParticipant();
    const shelf = new Shelf(`secondsight:${list.id}:${participant}:`);
    const session = findSession(participant, shelf);
    if (session.finished === null) {
      shelf.claim();
      watchTabs(shelf);
    }
    const records = new Records(session, shelf);
    records.closeInterrupted();
    await load(`orders/${String(session.order).padStart(6, "0")}.js`);
    const steps = makeSteps(Secondsight.order, session.version);
    if (records.answers.length < steps.length) {
      session.sittings.push(await sitting());
      records.saveSession();
      document.getElementById("task").replaceChildren();
      /* Off a disk jsPsych would warn of sounds and videos, of which there are none. */
      const jsPsych = initJsPsych({display_element: "task", override_safe_mode: true});
      const sendSome = () => Secondsight.collector && records.send(Secondsight.collector, steps);
      const {frame} = session.sittings.at(-1);
      Secondsight.steps = steps;
      await jsPsych.run(makeTimeline(steps, records, frame, sendSome));
      session.finished = new Date().toISOString();
      records.saveSession();
    }
    await showEnd(records, steps);
  }

  run().catch((error) => {
    if (!(error instanceof Moved)) {
      show("failed").querySelector("#why").textContent = error.message;
    } else if (!document.getElementById("here")) {
      showMoved();
    }
  });
})();
