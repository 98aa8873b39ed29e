// Only improves: every page works without it.
(() => {
  const live = document.getElementById("live");

  // The summary of what is wrong is read first.
  const problems = document.getElementById("problems");
  if (problems) problems.focus();

  // A pressed button says what goes on, and cannot be pressed again. Later than the event, so
  // that the form is sent with the button.
  let pressed = [];
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || !button.dataset.busy) return;
    setTimeout(() => {
      if (event.defaultPrevented) return;
      pressed.push([button, button.textContent]);
      button.disabled = true;
      button.textContent = button.dataset.busy;
      if (live) live.textContent = button.dataset.busy;
    });
  });
  // A page that the browser shows again, after Back, can be sent again.
  window.addEventListener("pageshow", () => {
    for (const [button, text] of pressed) {
      button.disabled = false;
      button.textContent = text;
    }
    pressed = [];
    if (live) live.textContent = "";
  });

  // Secrets can be shown while they are typed, and are hidden again before they are sent, so
  // that no browser keeps them as text.
  for (const input of document.querySelectorAll("input[data-secret]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet show";
    const label = input.labels[0] ? input.labels[0].textContent : "";
    const set = (shown) => {
      input.type = shown ? "text" : "password";
      button.textContent = shown ? "Hide" : "Show";
      button.setAttribute("aria-label", button.textContent + " " + label);
    };
    set(false);
    button.addEventListener("click", () => set(input.type === "password"));
    if (input.form) input.form.addEventListener("submit", () => set(false));
    input.after(button);
  }
})();
