// What pages do beyond links and forms: they listen to a job that runs, and they upload files, folders and what is
// dropped. Everything else works without this file.

import { zipOf } from "./zip.js";

// The live part is fetched again at most this often, and never while the fetch before takes longer than this share of it.
const PAUSE_MS = 700;
const SHARE = 0.5;
// The time that is left passes even when nothing happens.
const IDLE_MS = 5000;

/** Follows the job that a live part names, until that part names none any more. */
class Live {
  #source;
  #region;
  #timer;
  #idle;
  #asked = 0;
  #pause = PAUSE_MS;
  #moved = new Map();
  #frame = 0;

  constructor(region) {
    this.#region = region;
    this.#source = new EventSource(region.dataset.live);
    for (const name of EVENTS) this.#source.addEventListener(name, (event) => this.#hear(name, event));
    this.#source.addEventListener("error", () => {
      // The stream ends with the job, and a connection that breaks is made again by the browser.
      if (this.#source.readyState === EventSource.CLOSED) this.#soon();
    });
    this.#idle = setInterval(() => this.#soon(), IDLE_MS);
  }

  close() {
    this.#source.close();
    clearInterval(this.#idle);
    clearTimeout(this.#timer);
  }

  swapped() {
    this.#pause = Math.max(PAUSE_MS, (performance.now() - this.#asked) / SHARE);
    this.#region = document.getElementById("live");
  }

  #hear(name, event) {
    if (name === "step.progress") {
      const said = JSON.parse(event.data);
      this.#moved.set(said.step, said);
      this.#frame ||= requestAnimationFrame(() => this.#draw());
    } else {
      this.#soon(name.startsWith("job."));
    }
  }

  /** Move the bars that have moved since the last frame. */
  #draw() {
    this.#frame = 0;
    const rows = new Map([...this.#region.querySelectorAll("[data-step]")].map((row) => [row.dataset.step, row]));
    for (const [step, said] of this.#moved) {
      const bar = rows.get(step)?.querySelector("progress");
      if (!bar) continue;
      bar.max = said.total || 1;
      bar.value = said.done;
      const detail = rows.get(step).querySelector("[data-step-detail]");
      if (detail) detail.textContent = `${DOING[said.stage] ?? said.stage}: ${said.done.toLocaleString("en")} of ${said.total.toLocaleString("en")}`;
    }
    this.#moved.clear();
  }

  #soon(now = false) {
    if (this.#timer && !now) return;
    clearTimeout(this.#timer);
    const left = Math.max(this.#asked + this.#pause - performance.now(), 0);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#asked = performance.now();
      this.#region.dispatchEvent(new Event("refresh"));
    }, left);
  }
}

const EVENTS = [
  "step.progress", "step.running", "step.queued", "step.succeeded", "step.failed", "step.lost", "step.cancelled",
  "step.curve", "job.queued", "job.running", "job.succeeded", "job.failed", "job.lost", "job.cancelling",
  "job.cancelled", "job.stage", "job.next", "job.next_refused",
];
const DOING = { fetch: "fetched bytes", read: "examples", decode: "decoded", train: "trained on", export: "files" };

let live;
function listen() {
  const region = document.querySelector("[data-live]");
  if (region && !live) live = new Live(region);
  if (!region && live) {
    live.close();
    live = undefined;
  }
}

document.addEventListener("htmx:after:swap", () => {
  const region = document.getElementById("live");
  if (!region) return;
  live?.swapped();
  listen();
  if (region.dataset.data) {
    document.dispatchEvent(new CustomEvent("frontrunner:data", { detail: { id: region.dataset.data } }));
  }
});
// A page that the browser kept is shown again as it was: what happened meanwhile is fetched.
addEventListener("pageshow", (event) => event.persisted && location.reload());
addEventListener("pagehide", () => live?.close());
listen();

// Uploads

const form = document.getElementById("upload");
if (form) {
  const file = form.querySelector("#file");
  const folder = form.querySelector("#folder");
  const zone = form.querySelector("[data-dropzone]");
  const state = form.querySelector("[data-upload-state]");
  const text = form.querySelector("[data-upload-text]");
  const bar = form.querySelector("[data-upload-bar]");
  for (const hidden of form.querySelectorAll("[data-needs-script]")) hidden.hidden = false;

  const say = (words, share) => {
    state.hidden = false;
    text.textContent = words;
    if (share === undefined) bar.removeAttribute("value");
    else bar.value = 100 * share;
  };

  /** Send the form with one file, and go where the answer is. */
  const send = (blob, name) => {
    const said = new FormData(form);
    said.delete("file");
    said.append("file", blob, name);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "text/html");
    request.upload.addEventListener("progress", (event) => {
      say(event.loaded < event.total ? `Uploading ${name}` : `Checking ${name}`, event.loaded < event.total ? event.loaded / event.total : undefined);
    });
    request.addEventListener("load", () => {
      if (request.status < 300) {
        location.assign(request.responseURL);
        return;
      }
      const answer = new DOMParser().parseFromString(request.responseText, "text/html");
      const notice = answer.querySelector(".notice.bad, .problem");
      state.hidden = true;
      document.querySelector("#main > .notice.bad")?.remove();
      if (notice) {
        form.closest("main").insertBefore(document.importNode(notice, true), form.parentElement);
        document.querySelector("#main > .notice.bad")?.scrollIntoView({ block: "center" });
      }
    });
    request.addEventListener("error", () => say("The connection broke, and nothing was kept. Send it again; a larger file than is accepted ends this way too.", 0));
    say(`Uploading ${name}`, 0);
    request.send(said);
  };

  /** Pack files under their paths, and send them. */
  const sendFolder = async (files, name) => {
    if (!files.length) {
      say("There is no file in it.", 0);
      return;
    }
    const zip = await zipOf(files, (done, total) => say(`Packing ${name}: ${done.toLocaleString("en")} of ${total.toLocaleString("en")} files`, done / total));
    send(zip, `${name}.zip`);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (file.files.length) send(file.files[0], file.files[0].name);
  });
  form.querySelector("[data-choose-folder]").addEventListener("click", () => folder.click());
  folder.addEventListener("change", () => {
    const files = [...folder.files].map((one) => [one.webkitRelativePath.split("/").slice(1).join("/"), one]);
    if (files.length) sendFolder(files, folder.files[0].webkitRelativePath.split("/")[0]);
    folder.value = "";
  });
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("is-over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("is-over"));
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    zone.classList.remove("is-over");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    if (entries.length === 1 && entries[0].isFile) {
      const one = event.dataTransfer.files[0];
      send(one, one.name);
    } else if (entries.length) {
      const root = entries.length === 1 ? await entriesOf(entries[0]) : entries;
      const files = [];
      for (const entry of root) await collect(entry, "", files);
      sendFolder(files, entries.length === 1 ? entries[0].name : "dropped");
    }
  });
}

/** What is in a folder that was dropped; a browser tells a hundred at a time. */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    found.push(...some);
  }
}

async function collect(entry, path, files) {
  if (entry.isDirectory) {
    for (const inner of await entriesOf(entry)) await collect(inner, `${path}${entry.name}/`, files);
  } else {
    files.push([`${path}${entry.name}`, await new Promise((resolve, reject) => entry.file(resolve, reject))]);
  }
}
