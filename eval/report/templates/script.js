"use strict";

const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Theme: the system's until the button is pressed.
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// Gallery: a card is shown if it passes all filters; arm and outcome are filtered together.
for (const gallery of all(".filtered")) {
  const form = gallery.querySelector("form"), count = gallery.querySelector("output");
  const cards = all(".gallery > li", gallery);
  const show = () => {
    const want = Object.fromEntries(new FormData(form));
    let shown = 0;
    for (const card of cards) {
      const outcomes = JSON.parse(card.dataset.outcomes);
      const arms = want.arm ? [want.arm] : Object.keys(outcomes);
      const outcome = !want.outcome || arms.some((arm) => outcomes[arm] === want.outcome);
      const rest = ["class", "light", "size"].every((name) => !want[name] || card.dataset[name] === want[name]);
      card.hidden = !(outcome && rest);
      shown += !card.hidden;
      for (const chip of all(".chip", card)) chip.hidden = Boolean(want.arm) && chip.dataset.arm !== want.arm;
      for (const box of all(".box", card)) box.classList.toggle("soft", Boolean(want.arm) && box.dataset.arm !== want.arm);
    }
    count.value = `${shown} of ${cards.length} crops shown`;
  };
  form.addEventListener("change", show);
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
}

// Viewer: two images of one moment with a movable divider.
for (const viewer of all(".viewer")) {
  const moments = JSON.parse(viewer.querySelector("script[type='application/json']").textContent);
  const buttons = all(".moments button", viewer);
  const [left, right, whose] = ["left", "right", "boxes"].map((name) => viewer.querySelector(`select[name=${name}]`));
  const truth = viewer.querySelector("input[name=truth]"), wipe = viewer.querySelector("input[type=range]");
  const stage = viewer.querySelector(".stage"), overlay = stage.querySelector("svg");
  const under = stage.querySelector(":scope > img"), over = stage.querySelector(".over img");
  const caption = viewer.querySelector("output");
  let now = 0;

  const shape = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    overlay.append(element);
  };
  const cut = () => stage.style.setProperty("--cut", `${wipe.value}%`);
  const show = () => {
    const moment = moments[now], images = all("img", buttons[now]);
    const source = (name) => images.find((image) => image.dataset.arm === name).src;
    under.src = source(left.value);
    over.src = source(right.value);
    under.alt = `${moment.key} in ${left.value}`;
    over.alt = `${moment.key} in ${right.value}`;
    stage.querySelector(".tag.left").textContent = left.value;
    stage.querySelector(".tag.right").textContent = right.value;
    overlay.replaceChildren();
    overlay.setAttribute("viewBox", `0 0 ${moment.size[0]} ${moment.size[1]}`);
    const rectangle = (box, kind) => shape("rect", { class: kind, x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1] });
    if (truth.checked) (moment.truths[whose.value] || moment.truth).forEach((box) => rectangle(box, "truth"));
    for (const box of moment.boxes[whose.value] || []) {
      rectangle(box, "box");
      const size = moment.size[0] / 50;
      shape("text", { x: box[0], y: Math.max(size, box[1] - size / 4), "font-size": size, "stroke-width": size / 6 }, `${box[5]} ${box[4].toFixed(2)}`);
    }
    buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(place === now)));
    const found = (moment.boxes[whose.value] || []).length;
    caption.value = `${moment.key}${whose.value ? `: ${whose.value} finds ${found}` : ""}`;
  };
  buttons.forEach((button, place) => button.addEventListener("click", () => { now = place; show(); }));
  for (const control of [left, right, whose, truth]) control.addEventListener("change", show);
  wipe.addEventListener("input", cut);
  stage.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    const frame = stage.getBoundingClientRect();
    wipe.value = Math.round(100 * Math.min(1, Math.max(0, (event.clientX - frame.left) / frame.width)));
    cut();
  });
  viewer.hidden = false;
  cut();
  show();
}
