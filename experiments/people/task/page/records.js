/* What a participant answered: kept in the browser after every answer, and handed over as CSV and JSON. */
"use strict";

window.Secondsight ??= {};

(() => {
  const COLUMNS = [
    "participant", "list", "version", "task", "trial", "item", "condition",
    "response", "correct", "reaction_time", "lag", "side",
  ];
  /* How a text begins that spreadsheets take for a formula, as in storage/tables.py. */
  const FORMULA = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
  const CODE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
  /* Codes that files of answers cannot have as names, as in experiments/people/task/collecting.py. */
  const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d|responses)$/i;

  /* Thrown where another tab has taken over what this one would write. */
  class Moved extends Error {}

  /* Keeps texts by name; where the browser keeps nothing, for as long as the page is open. */
  class Shelf {
    constructor(prefix) {
      this.prefix = prefix;
      this.lasting = true;
      this.memory = new Map();
      this.tab = null;
    }

    /* From now on only this tab writes, until another claims the same: answers of two tabs would be mixed. */
    claim() {
      const tab = randomCode();
      this.set("tab", tab);
      this.tab = tab;
    }

    /* Whether another tab has claimed it since; where nothing is kept none can. */
    get moved() {
      return this.tab !== null && this.lasting && this.get("tab") !== this.tab;
    }

    get(name) {
      try {
        return localStorage.getItem(this.prefix + name) ?? this.memory.get(name) ?? null;
      } catch {
        this.lasting = false;
        return this.memory.get(name) ?? null;
      }
    }

    set(name, text) {
      if (this.moved) {
        throw new Moved("the test is open in another tab");
      }
      this.memory.set(name, text);
      try {
        localStorage.setItem(this.prefix + name, text);
      } catch {
        this.lasting = false;
      }
    }

    remove(name) {
      this.memory.delete(name);
      try {
        localStorage.removeItem(this.prefix + name);
      } catch {
        this.lasting = false;
      }
    }
  }

  class Records {
    /* `steps` are all pictures and choices in order; answers are told from their index among them. */
    constructor(session, shelf) {
      this.session = session;
      this.shelf = shelf;
      this.answers = [];
      for (let text; (text = shelf.get(`answer:${this.answers.length}`)) !== null; ) {
        this.answers.push(JSON.parse(text));
      }
    }

    /* What is on the screen now, so that nobody sees it again who leaves before it was answered. */
    begin(index) {
      this.shelf.set("shown", String(index));
    }

    add(answer) {
      this.shelf.set(`answer:${this.answers.length}`, JSON.stringify(answer));
      this.answers.push(answer);
    }

    /* Count what was on the screen when the page was closed as shown and not answered. */
    closeInterrupted() {
      if (this.shelf.get("shown") === String(this.answers.length)) {
        this.add({response: "", reaction: null, onset: null, shown: null, hidden: false, interrupted: true});
      }
    }

    saveSession() {
      this.shelf.set("session", JSON.stringify(this.session));
    }

    csv(steps) {
      const rows = this.answers.map((answer, index) => this.row(steps[index], answer));
      return [COLUMNS, ...rows.map((row) => COLUMNS.map((name) => row[name]))]
        .map((cells) => `${cells.map(cell).join(",")}\r\n`)
        .join("");
    }

    row(step, answer) {
      const right = step.task === "2afc" ? "studied" : step.condition;
      return {
        participant: this.session.participant,
        list: this.session.list,
        version: this.session.version,
        task: step.task,
        trial: step.trial,
        item: step.item,
        condition: step.condition,
        response: answer.response,
        correct: answer.response === "" ? "" : Number(answer.response === right),
        reaction_time: answer.reaction === null ? "" : Number((answer.reaction / 1000).toFixed(4)),
        lag: step.lag ?? "",
        side: step.side ?? "",
      };
    }

    /* When and for how long each picture was really shown, and on what screen. */
    record(steps) {
      const timing = this.answers.map((answer, index) => ({
        task: steps[index].task,
        trial: steps[index].trial,
        onset: answer.onset,
        shown: answer.shown,
        hidden: answer.hidden,
        interrupted: answer.interrupted,
      }));
      return {...this.session, timing};
    }

    body(steps) {
      const {participant} = this.session;
      return JSON.stringify({participant, responses: this.csv(steps), record: this.record(steps)});
    }

    /* Send all answers so far; resolves to an empty text, or to why they were not taken. */
    async send(address, steps) {
      try {
        const answer = await fetch(address, {
          method: "POST",
          headers: {"Content-Type": "application/json"},
          body: this.body(steps),
        });
        return answer.ok ? "" : await reason(answer);
      } catch {
        return "the address cannot be reached";
      }
    }
  }

  async function reason(answer) {
    const said = (await answer.text()).slice(0, 2000);
    try {
      return String(JSON.parse(said).error);
    } catch {
      return `the address answered ${answer.status}`;
    }
  }

  function cell(value) {
    let text = String(value);
    if (typeof value === "string") {
      /* Bytes of file names that are no text, written as storage/tables.py does. */
      text = text.replace(/[\ud800-\udfff]/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
      text = FORMULA.test(text) ? `'${text}` : text;
    }
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function randomCode() {
    const bytes = crypto.getRandomValues(new Uint8Array(6));
    return `p${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }

  /* A whole number below `end`, each as likely as any other. */
  function randomBelow(end) {
    return Math.floor((crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32) * end);
  }

  function isCode(text) {
    return CODE.test(text) && !RESERVED.test(text);
  }

  Object.assign(window.Secondsight, {Moved, Records, Shelf, isCode, randomBelow, randomCode});
})();
