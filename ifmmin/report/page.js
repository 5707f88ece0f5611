// Draws the charts, sets their shared parameters, opens rows of Table 1 and saves tables and charts.
const views = {};
const values = {metric: "UA"};

function drawn(name, view) {
  views[name] = view;
  for (const [parameter, value] of Object.entries(values)) set(view, name, parameter, value);
}

function set(view, name, parameter, value) {
  if ((specifications[name].params ?? []).some(known => known.name === parameter)) view.signal(parameter, value).runAsync();
}

function choose(parameter, value) {
  values[parameter] = value;
  for (const [name, view] of Object.entries(views)) set(view, name, parameter, value);
}

function save(name, url) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

const narrow = matchMedia("(max-width: 40rem)").matches;
for (const [name, specification] of Object.entries(specifications)) {
  if (narrow) specification.config.legend.columns = 1;
  vegaEmbed(`#chart-${name}`, specification, {renderer: "svg", actions: false})
    .then(result => drawn(name, result.view))
    .catch(error => console.error(`${name}: ${error}`));
}

for (const radio of document.querySelectorAll(".switch input")) {
  radio.addEventListener("change", () => {
    document.body.dataset.metric = radio.value;
    for (const other of document.querySelectorAll(`.switch input[value=${radio.value}]`)) other.checked = true;
    choose("metric", radio.value.toUpperCase());
  });
}

for (const menu of document.querySelectorAll("select[data-parameter]")) {
  menu.addEventListener("change", () => choose(menu.dataset.parameter, menu.value));
}

for (const button of document.querySelectorAll("button.open")) {
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", open);
    for (const row of button.closest("tbody").querySelectorAll("tr.run")) row.hidden = !open;
  });
}

for (const button of document.querySelectorAll("button[data-table]")) {
  const {table, kind} = button.dataset;
  button.addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([downloads[table][kind]], {type: "text/plain;charset=utf-8"}));
    save(`${table}.${kind}`, url);
    URL.revokeObjectURL(url);
  });
}

for (const button of document.querySelectorAll("button[data-chart]")) {
  const {chart, kind} = button.dataset;
  button.addEventListener("click", async () => {
    const view = views[chart];
    if (!view) return;
    const background = view.background();
    view.background("white");
    save(`${chart}.${kind}`, await view.toImageURL(kind, 2));
    view.background(background).runAsync();
  });
}

// A phone's contents start closed.
if (matchMedia("(max-width: 75rem)").matches) document.querySelector("nav details").open = false;
