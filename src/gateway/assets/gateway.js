// Conveniences only: every page works without this file.
"use strict";

for (const form of document.querySelectorAll("form[data-filter]")) {
  for (const field of form.querySelectorAll("select")) {
    field.addEventListener("change", () => form.requestSubmit());
  }
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    field.select();
    await navigator.clipboard.writeText(field.value);
    button.textContent = button.dataset.done;
    const status = document.querySelector("[data-copied]");
    status.textContent = status.dataset.copied;
  });
}

// Times are written in UTC; a browser knows the zone of its user.
const zoned = new Intl.DateTimeFormat(document.documentElement.lang, {
  dateStyle: "long",
  timeStyle: "short",
});
for (const time of document.querySelectorAll("time[datetime]")) {
  const local = zoned.format(new Date(time.dateTime));
  if (time.textContent.endsWith("UTC")) {
    time.title = time.textContent;
    time.textContent = local;
  } else if (time.title.endsWith("UTC")) {
    time.title = local;
  }
}

// A form that is sent twice would begin two consents.
for (const form of document.querySelectorAll("form[method=post]")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
}
// A page that comes back from the browser's memory may be sent again.
addEventListener("pageshow", (event) => event.persisted && location.reload());
