// Conveniences only: every page works without this file. Listeners are on the document, so that markup which a host adds
// later has them too.
"use strict";

const own = (event, selector) => (event.target instanceof Element ? event.target.closest(`.valetkey ${selector}`) : null);

document.addEventListener("change", (event) => {
  const form = own(event, "form[data-filter]");
  if (form && event.target.matches("select, input[type=date]")) form.requestSubmit();
});

document.addEventListener("click", async (event) => {
  const button = own(event, "button[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  await navigator.clipboard.writeText(field.value);
  button.textContent = button.dataset.done;
  const status = document.querySelector("[data-copied]");
  status.textContent = status.dataset.copied;
});

// The host's directory proposes users while an operator types.
let asked = 0;
let wait;
document.addEventListener("input", (event) => {
  const field = own(event, "input[data-people]");
  if (!field) return;
  clearTimeout(wait);
  wait = setTimeout(async () => {
    const number = (asked += 1);
    const base = field.closest("[data-base]").dataset.base;
    const address = `${base}/v1/people?q=${encodeURIComponent(field.value)}`;
    const answer = field.value.trim() ? await fetch(address, { headers: { accept: "application/json" } }) : null;
    const people = answer?.ok ? (await answer.json()).people : [];
    if (number !== asked) return;
    const options = people.map((person) => {
      const option = document.createElement("option");
      option.value = person.id;
      option.label = person.email ? `${person.name} · ${person.email}` : person.name;
      return option;
    });
    field.list.replaceChildren(...options);
  }, 150);
});

// A form that is sent twice would begin two consents.
document.addEventListener("submit", (event) => {
  const form = own(event, "form");
  if (form?.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "true";
});
// A page that comes back from the browser's memory may be sent again.
addEventListener("pageshow", (event) => event.persisted && location.reload());

// Times are written in UTC; a browser knows the zone of its user. A host that adds markup later sends `valetkey:added`.
function localize() {
  for (const root of document.querySelectorAll(".valetkey")) {
    const zoned = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "short" });
    for (const time of root.querySelectorAll("time[datetime]")) {
      const local = zoned.format(new Date(time.dateTime));
      if (time.textContent.endsWith("UTC")) {
        time.title = time.textContent;
        time.textContent = local;
      } else if (time.title.endsWith("UTC")) {
        time.title = local;
      }
    }
    for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = !navigator.clipboard;
  }
}
document.addEventListener("valetkey:added", localize);
localize();
