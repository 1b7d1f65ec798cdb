"use strict";
// The script of the explorer: it reads packets of numbers and words, and shows what belongs to the chosen image and neuron.
// Every word is put in as text, never as markup. Names of packets and arrays are those of compute.py and single_neurons.py.

(async () => {
  const N_STEPS = 255; // of responses, from the least to the most of a neuron
  const SHOWN_DEVIATIONS = 3; // of maps; beyond, colours do not change
  const BLUE = [11, 79, 148], ORANGE = [176, 72, 0], NEUTRAL = [245, 245, 243]; // apart for every colour vision, and in brightness
  const MINUS = "\u2212", NARROW = "\u202f";

  // ---- the page ------------------------------------------------------------------------------------------------------------
  const at = (id) => document.getElementById(id);

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children); // strings become text
    return element;
  }

  const bdi = (words) => make("bdi", {}, words);
  const fill = (id, ...children) => at(id).replaceChildren(...children);

  function fillList(id, children) { // one by one: lists of neurons are longer than a call takes arguments
    const all = document.createDocumentFragment();
    for (const one of children) all.append(one);
    at(id).replaceChildren(all);
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  function number(value, digits = 3) {
    if (!Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    const words = size >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(digits)));
    return words.replace("-", MINUS);
  }

  const withUnits = (value, units) => number(value) + (units && Number.isFinite(value) ? (units === "°" ? "°" : NARROW + units) : "");
  function rankWords(decoder, query) { // in ranks, a tie counts by half; in words, it is one
    const rank = data.rank.row(decoder)[query], tied = data.rank_tied.row(decoder)[query];
    if (!Number.isFinite(rank)) return "–";
    if (!tied) return `rank ${rank}`;
    const first = rank - tied / 2;
    return `tied for ranks ${first} ${tied === 1 ? "and" : "to"} ${first + tied}`;
  }

  // ---- packets -------------------------------------------------------------------------------------------------------------
  const packets = new Map();

  function packet(name) {
    if (!packets.has(name)) packets.set(name, readPacket(name));
    return packets.get(name);
  }

  async function readPacket(name) {
    const inside = at(`packet-${name}`);
    const packed = inside
      ? new Blob([Uint8Array.from(atob(inside.textContent), (sign) => sign.charCodeAt(0))])
      : await (await fetchPacket(name)).blob();
    const content = await new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
    const length = new DataView(content).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 4, length)));
    const types = { int8: Int8Array, uint8: Uint8Array, int32: Int32Array, float32: Float32Array };
    const arrays = {};
    for (const [key, one] of Object.entries(header.arrays)) {
      const values = new types[one.type](content, 4 + length + one.offset, one.shape.reduce((a, b) => a * b, 1));
      arrays[key] = { values, shape: one.shape, row: (n) => rowOf(values, one.shape, n) };
    }
    return { ...header, arrays };
  }

  function rowOf(values, shape, n) {
    const size = shape.slice(1).reduce((a, b) => a * b, 1);
    return values.subarray(n * size, (n + 1) * size);
  }

  async function fetchPacket(name) {
    const answer = await fetch(`/packet/${name}${location.search}`);
    if (!answer.ok) throw new Error(`The server answered ${answer.status}. Start dina explore again.`);
    return answer;
  }

  // ---- pictures ------------------------------------------------------------------------------------------------------------
  function blank(width, height, words) {
    const canvas = make("canvas", { role: "img", "aria-label": words });
    canvas.width = width;
    canvas.height = height;
    return canvas;
  }

  async function pixelsOf(place) {
    const { arrays } = await packet(`images-${Math.floor(place / facts.images_in_packet)}`);
    return arrays.pixels.row(place % facts.images_in_packet);
  }

  async function picture(place, words, isGrey = false) {
    const canvas = blank(facts.width, facts.height, words);
    const pixels = await pixelsOf(place);
    const image = new ImageData(facts.width, facts.height);
    for (let n = 0; n < facts.width * facts.height; n += 1) {
      const three = facts.has_colour ? pixels.subarray(3 * n, 3 * n + 3) : [pixels[n], pixels[n], pixels[n]];
      const mean = (three[0] + three[1] + three[2]) / 3;
      image.data.set(isGrey ? [mean, mean, mean, 255] : [three[0], three[1], three[2], 255], 4 * n);
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  function diverging(value) { // from -1 to 1
    const amount = Math.min(1, Math.abs(value)), end = value < 0 ? BLUE : ORANGE;
    return NEUTRAL.map((neutral, n) => Math.round(neutral + amount * (end[n] - neutral)));
  }

  function drawGrid(values, height, width, words, scale) {
    const canvas = blank(width, height, words);
    const image = new ImageData(width, height);
    values.forEach((value, n) => image.data.set([...diverging(value / scale), 255], 4 * n));
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  function legend(id, low, middle, high) {
    const values = Float32Array.from({ length: 64 }, (_, n) => n / 31.5 - 1);
    const bar = drawGrid(values, 1, 64, "", 1);
    bar.removeAttribute("role");
    bar.removeAttribute("aria-label");
    bar.setAttribute("aria-hidden", "true");
    fill(id, make("span", {}, low), bar, make("span", {}, high), make("span", {}, middle));
  }

  // a drawing of lines and dots, as sharp as the screen
  function drawing(width, height, words) {
    const scale = Math.min(3, window.devicePixelRatio || 1);
    const canvas = blank(Math.round(width * scale), Math.round(height * scale), words);
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.fillStyle = colour("paper");
    pen.fillRect(0, 0, width, height);
    pen.font = "12px system-ui, sans-serif";
    return { canvas, pen };
  }

  // ---- what is chosen --------------------------------------------------------------------------------------------------------
  let facts, data, byName, listed = [], stimulus = 0, trial = -1, group = 0, sweep = 0, neuron = 0, order = [], turn = 0;

  const queryOf = (place, which) => queries.get(`${place} ${which}`);
  let queries = new Map();

  function nameOf(place) {
    const label = facts.labels[place];
    return facts.names[place] + (label ? `, ${label}` : "");
  }

  function fits(place) {
    const query = queryOf(place, trial);
    if (query === undefined) return false;
    const tied = data.rank_tied.row(0)[query], first = data.rank.row(0)[query] - tied / 2, wanted = at("rank-filter").value;
    const isAlone = first === 1 && !tied;
    const isRank = { all: true, first: isAlone, near: first <= 5 && !isAlone, far: first > 5 }[wanted];
    const part = at("name-filter").value.trim().toLowerCase();
    const isNamed = !part || nameOf(data.stimuli.values[place]).toLowerCase().includes(part);
    return isRank && isNamed && (!at("occluded-filter").checked || occludedRow(place) >= 0);
  }

  const occludedRow = (place) => (data.occluded ? data.occluded.values.indexOf(place) : -1);

  function listImages() {
    listed = Array.from(data.stimuli.values.keys()).filter(fits);
    const options = listed.map((place) => {
      const words = rankWords(0, queryOf(place, trial));
      return make("option", { value: place }, `${nameOf(data.stimuli.values[place])} (${words})`);
    });
    fillList("image", options);
    const isAny = listed.length > 0;
    for (const id of ["image", "previous-image", "next-image"]) at(id).disabled = !isAny;
    at("nothing").hidden = isAny;
    at("of-image").hidden = !isAny;
    if (!isAny) {
      turn += 1; // an image that is still being drawn does not come back
      at("status").textContent = "No image fits this choice.";
      return;
    }
    if (!listed.includes(stimulus)) stimulus = listed[0];
    showImage();
  }

  function step(by) {
    if (!listed.length) return;
    stimulus = listed[(listed.indexOf(stimulus) + by + listed.length) % listed.length];
    showImage();
  }

  async function showImage() {
    const mine = (turn += 1); // an image chosen while this one is being drawn takes its place
    at("image").value = stimulus;
    const query = queryOf(stimulus, trial), place = data.stimuli.values[stimulus];
    const parts = await Promise.all([
      bestImages(query, place), decoderRows(query, place), mapFigures(stimulus), occlusionFigure(stimulus, place),
    ]);
    if (mine !== turn) return;
    fill("best", ...parts[0]);
    fill("decoders", ...parts[1]);
    showMaps(parts[2]);
    showOcclusion(parts[3]);
    showContributing();
    await showNeuron();
    if (mine !== turn) return;
    at("status").textContent =
      `Image ${listed.indexOf(stimulus) + 1} of ${listed.length}: ${nameOf(place)}; ${at("query").selectedOptions[0].text};`
      + ` right image: ${rankWords(0, query)} of ${facts.names.length}.`;
  }

  // ---- retrieval -----------------------------------------------------------------------------------------------------------
  async function bestImages(query, place) {
    const best = data.best.row(query), scores = data.best_score.row(query);
    const right = data.true_score.values[query], isTied = data.rank_tied.row(0)[query] > 0;
    at("retrieval-words").textContent =
      `dina's scores of ${facts.names.length} images for this response${facts.units ? `, in ${facts.units}s of log likelihood` : " (similarities, without a unit)"}. The right image`
      + ` ${isTied ? "is" : "has"} ${rankWords(0, query)}${isTied ? " (as many images have the same score; ties count by half)" : ""}; its score is ${number(right, 4)}. Chance: rank ${(facts.names.length + 1) / 2} on average.`;
    const items = [make("li", { class: "shown" }, await picture(place, `Shown: ${nameOf(place)}`), make("b", {}, "shown"), make("br"), bdi(nameOf(place)))];
    for (const [n, one] of best.entries()) {
      if (one < 0) continue;
      const isRight = one === place;
      const words = `Choice ${n + 1}, ${isRight ? "right" : "wrong"}: ${nameOf(one)}`;
      items.push(make(
        "li", isRight ? { class: "right" } : {}, await picture(one, words), make("b", {}, `${n + 1}${isRight ? " ✓ right" : ""}`),
        ` score ${number(scores[n], 4)}${tiedWords(data.best_tied.row(query)[n])}`, make("br"), bdi(nameOf(one)),
      ));
    }
    return items;
  }

  function rankAmong(decoder, query) {
    const words = rankWords(decoder, query);
    return words === "–" ? words : `${words.replace(/^rank /, "")} of ${data.n_candidates.row(decoder)[query]}`;
  }

  const tiedWords = (many) => (many > 1 ? `, shared by ${many} images` : "");

  async function decoderRows(query, place) {
    const heads = ["decoder", "rank of the right image", "first choice", "dina's score of this choice"];
    const rows = [];
    for (const [n, label] of facts.decoders.entries()) {
      const first = data.first.row(n)[query], tied = data.first_tied.row(n)[query], isRight = first === place;
      const choice = make("td", { class: "word" });
      if (first >= 0) choice.append(await picture(first, ""), make("span", isRight ? { class: "yes" } : {}, bdi(nameOf(first)), isRight ? " ✓ right" : "", tied > 1 ? ` (${tied} images share the best score)` : ""));
      else choice.append("no answer to this response");
      if (first >= 0) hide(choice.querySelector("canvas"));
      rows.push(make(
        "tr", {}, make("th", { scope: "row", class: "word" }, bdi(label)), make("td", {}, rankAmong(n, query)),
        choice, make("td", {}, number(data.first_score.row(n)[query], 4)),
      ));
    }
    return [headRow(heads, [0, 2]), make("tbody", {}, ...rows)];
  }

  function hide(canvas) { // its words stand beside it
    canvas.removeAttribute("role");
    canvas.removeAttribute("aria-label");
    canvas.setAttribute("aria-hidden", "true");
  }

  function headRow(words, left) {
    const cells = words.map((word, n) => make("th", left.includes(n) ? { scope: "col", class: "word" } : { scope: "col" }, word));
    return make("thead", {}, make("tr", {}, ...cells));
  }

  // ---- maps ----------------------------------------------------------------------------------------------------------------
  async function mapsOf(place) {
    const row = facts.map_of_stimulus[place];
    if (row < 0) return null;
    const { arrays } = await packet(`maps-${Math.floor(row / facts.maps_in_packet)}`);
    const [, , channels, height, width] = arrays.maps.shape;
    const both = arrays.maps.row(row % facts.maps_in_packet);
    const size = channels * height * width;
    return { height, width, sides: [both.subarray(0, size), both.subarray(size)] };
  }

  function correlate(a, b) {
    const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;
    const [ma, mb] = [mean(a), mean(b)];
    let ab = 0, aa = 0, bb = 0;
    a.forEach((one, n) => { ab += (one - ma) * (b[n] - mb); aa += (one - ma) ** 2; bb += (b[n] - mb) ** 2; });
    return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : NaN;
  }

  function chanceOf(channel) { // correlations of maps of responses with maps of other images
    const [low, high] = data.map_chance.row(channel);
    return Number.isFinite(low) ? `${number(low, 2)} to ${number(high, 2)}` : "not known";
  }

  async function mapFigures(place) {
    const maps = await mapsOf(place);
    if (maps === null) return null;
    const { height, width, sides } = maps, size = height * width;
    const figures = facts.groups[group][1].map((channel) => {
      const both = sides.map((side) => side.subarray(channel * size, (channel + 1) * size));
      const agreement = number(correlate(Array.from(both[0]), Array.from(both[1])), 2);
      const name = facts.channels[channel];
      const canvases = both.map((values, n) => make(
        "div", {}, make("span", {}, n ? "from the response" : "of the image"),
        drawGrid(values, height, width, `${name}, ${n ? "from the response" : "of the image"}; correlation of both maps ${agreement}`, SHOWN_DEVIATIONS / facts.step),
      ));
      return make("figure", width > 2 * height ? { class: "wide" } : {}, make("b", {}, bdi(name)), make("div", {}, ...canvases), make("figcaption", {}, `correlation over places ${agreement}; chance ${chanceOf(channel)}`));
    });
    return { figures, all: correlate(Array.from(sides[0]), Array.from(sides[1])) };
  }

  function showMaps(found) {
    at("maps-legend").hidden = found === null;
    if (found === null) {
      at("maps-words").textContent = "The maps of this image are not in this file. dina explore RUN shows those of all images.";
      fill("maps");
      return;
    }
    const [rows, columns] = facts.block, blocks = rows * columns > 1 ? ` Each place is the mean of ${rows} × ${columns}.` : "";
    at("maps-words").textContent =
      `The map that the image tower makes of the image, beside the ${facts.form.startsWith("posterior") ? "map that is expected given the" : "map that the neural tower makes of the"} ${facts.average}response`
      + ` (${facts.form}). Both are deviations from the mean over training images, in units of each channel's deviation.${blocks}`
      + ` Over all ${facts.channels.length} channels and places both maps correlate by ${number(found.all, 2)} (chance: ${chanceOf(facts.channels.length)}, the central 95${NARROW}% for maps of other images).`;
    if (facts.channels.some((name) => name.endsWith("°"))) at("maps-words").textContent += " Angles are those of the preferred bars: 0° is horizontal, 90° vertical.";
    fill("maps", ...found.figures);
  }

  // ---- occlusion -----------------------------------------------------------------------------------------------------------
  async function occlusionFigure(place, galleryPlace) {
    const row = occludedRow(place);
    if (row < 0) return null;
    const [, images, rows, columns] = data.score_loss.shape, size = rows * columns;
    const ofSweep = data.score_loss.row(sweep);
    const losses = ofSweep.subarray(row * size, (row + 1) * size);
    const most = losses.reduce((largest, one) => Math.max(largest, Math.abs(one)), 0) || 1;
    const usual = data.usual_loss.row(sweep), [low, high] = [usual.subarray(0, size), usual.subarray(size)];
    const outside = Array.from(losses.keys()).filter((n) => losses[n] < low[n] || losses[n] > high[n]);
    const largest = whereLost(losses, rows, columns), words = `${largest.words}; ${unusual(largest.place, low, high, outside.length, size)}`;
    const grey = await picture(galleryPlace, "", true);
    const scale = Math.max(1, Math.round(480 / facts.width));
    const canvas = blank(scale * facts.width, scale * facts.height, `Loss of score by place over ${nameOf(galleryPlace)}: ${words}`);
    const veil = blank(columns, rows, "").getContext("2d"), image = new ImageData(columns, rows);
    losses.forEach((loss, n) => image.data.set([...(loss < 0 ? BLUE : ORANGE), Math.round(215 * Math.min(1, Math.abs(loss) / most))], 4 * n));
    veil.putImageData(image, 0, 0);
    const pen = canvas.getContext("2d");
    pen.drawImage(grey, 0, 0, canvas.width, canvas.height);
    pen.drawImage(veil.canvas, 0, 0, canvas.width, canvas.height);
    const [across, down] = [canvas.width / columns, canvas.height / rows], radius = Math.max(2, Math.min(across, down) / 8);
    for (const n of outside) {
      pen.beginPath();
      pen.arc(across * ((n % columns) + 0.5), down * (Math.floor(n / columns) + 0.5), radius, 0, 2 * Math.PI);
      outlined(pen, radius);
    }
    return { canvas, most, images, words };
  }

  function unusual(place, low, high, many, size) { // chance is that this image is like the others
    if (!Number.isFinite(facts.occlusion_chance)) return `fewer than three images were occluded, so that nothing says what is usual`;
    const percent = (share) => `${number(100 * share, 2)}${NARROW}%`;
    return `there, ${percent(1 - facts.occlusion_chance)} of the ${facts.n_occluded} occluded images lose between ${number(low[place])} and ${withUnits(high[place], facts.units)} (below 0: gain).`
      + ` Rings: the ${many} of ${size} places (${percent(many / size)}) where this image loses more or less than that; ${percent(facts.occlusion_chance)} if it were like the others`;
  }

  function whereLost(losses, rows, columns) {
    let best = 0;
    losses.forEach((loss, n) => { if (loss > losses[best]) best = n; });
    const down = ["top", "middle", "bottom"][Math.min(2, Math.floor((3 * Math.floor(best / columns)) / rows))];
    const across = ["left", "centre", "right"][Math.min(2, Math.floor((3 * (best % columns)) / columns))];
    return { place: best, words: `the largest loss, ${withUnits(losses[best], facts.units)}, is at the ${down} ${across}` };
  }

  function showOcclusion(found) {
    at("occlusion-controls").hidden = found === null;
    at("occlusion-legend").hidden = found === null;
    fill("occlusion");
    if (found === null) {
      at("occlusion-words").textContent = facts.no_occlusion
        ?? `This image is not among the ${data.occluded.values.length} that were occluded. More: dina interpret RUN occlusion --set n_images=N`;
      return;
    }
    at("occlusion-words").textContent = `How much of its score the right image loses when a window hides this place; ${found.words}.${facts.units ? "" : " Scores of these towers are similarities without a unit."} The image is shown in grey beneath.`;
    fill("occlusion", found.canvas);
    const most = withUnits(found.most, facts.units);
    legend("occlusion-legend", MINUS + most, "orange: score is lost there; blue: score is gained; clear: no change; rings: not as in other images", most);
  }

  // ---- neurons that help with the image --------------------------------------------------------------------------------------
  function column(name) {
    const place = facts.columns.findIndex((one) => one.name === name);
    return place < 0 ? null : { ...facts.columns[place], values: data.columns.row(place) };
  }

  const helping = () => (data.contributing ? Array.from(data.contributing.row(stimulus)).filter((one) => one >= 0) : []);
  const neuronName = (place) => `neuron ${data.neurons.values[place]}`;

  function showContributing() {
    const found = helping();
    at("contributing-words").textContent = facts.no_contributions
      ?? (found.length
        ? `Margin (score of the right image minus the mean score of all others) that is lost without each neuron${facts.average ? ", mean over the trials of this image" : ""}. The ${found.length} neurons with the largest loss${data.neurons.values.length < facts.n_neurons ? ` among the ${data.neurons.values.length} in this file` : ""}.${usualWords()}`
        : "No contribution of single neurons is known for this image.");
    const margins = data.margin_lost ? data.margin_lost.row(stimulus) : [];
    const more = [column("signal_to_noise") ?? column("reliability")].filter((one) => one !== null);
    const rows = found.map((one, n) => make(
      "tr", one === neuron ? { class: "chosen" } : {}, make("td", {}, String(n + 1)), make("th", { scope: "row", class: "word" }, neuronButton(one)),
      make("td", {}, withUnits(margins[n], facts.contribution_units)), ...usualCell(one, margins[n]), ...more.map((each) => make("td", {}, number(each.values[one], 2))),
    ));
    const heads = ["place", "neuron", "margin lost", ...(facts.margin_chance ? ["in most images"] : []), ...more.map((each) => each.words)];
    fill("contributing", ...(found.length ? [headRow(heads, [1]), make("tbody", {}, ...rows)] : []));
    showCortex(found);
  }

  function usualWords() { // chance is that this image is like the others
    if (!facts.margin_chance) return " There are fewer than three such images, so that nothing says what is usual.";
    const [share, many] = [100 * (1 - 2 * facts.margin_chance), data.neurons.values.length];
    return ` Beside it: what is lost without the same neuron in the middle ${number(share, 2)}${NARROW}% of ${facts.n_contributing_images} images. This image loses more than that without ${data.n_above.values[stimulus]}`
      + ` of ${many} neurons; ${number(facts.margin_chance * many, 2)} are expected if it is like the others.`;
  }

  function usualCell(place, margin) {
    if (!facts.margin_chance) return [];
    const [low, high] = data.usual_margin.row(place), words = `${number(low, 2)} to ${number(high, 2)}`;
    return [make("td", { class: "range" }, margin > high ? make("b", {}, `${words}, above`) : words)];
  }

  function neuronButton(place) {
    const button = make("button", { type: "button" }, neuronName(place));
    button.addEventListener("click", () => { chooseNeuron(place); });
    return button;
  }

  function endsOf(values) { // of the numbers that are known
    let [low, high] = [Infinity, -Infinity];
    for (const one of values) if (Number.isFinite(one)) [low, high] = [Math.min(low, one), Math.max(high, one)];
    return high < low ? [0, 0] : [low, high];
  }

  function showCortex(found) {
    const x = column("position_x_um"), y = column("position_y_um");
    if (x === null || y === null) {
      fill("cortex", make("figcaption", {}, "The recording does not say where its neurons lie in cortex."));
      return;
    }
    const side = 420, edge = 14;
    const words = `Cortex from above: ${x.values.length} neurons; ${found.length ? `the ${found.length} that help most are filled in orange, larger for more` : "none is marked"}; chosen: ${neuronName(neuron)}`;
    const ends = [x, y].map((each) => endsOf(each.values)), [low, high] = [0, 1].map((end) => ends.map((each) => each[end]));
    const span = Math.max(high[0] - low[0], high[1] - low[1]) || 1;
    const place = (n) => [edge + ((side - 2 * edge) * (x.values[n] - low[0])) / span, edge + ((side - 2 * edge) * (y.values[n] - low[1])) / span];
    const height = 2 * edge + ((side - 2 * edge) * (high[1] - low[1])) / span;
    const { canvas, pen } = drawing(side, Math.max(60, height), words);
    const dot = (n, size, isFilled, tone) => {
      pen.beginPath();
      pen.arc(...place(n), size, 0, 2 * Math.PI);
      pen[isFilled ? "fillStyle" : "strokeStyle"] = tone;
      if (isFilled) pen.fill(); else pen.stroke();
    };
    const isMany = x.values.length > 2000, muted = colour("muted");
    pen.globalAlpha = isMany ? 0.35 : 0.6;
    for (let n = 0; n < x.values.length; n += 1) dot(n, isMany ? 1.2 : 2.4, true, muted);
    pen.globalAlpha = 1;
    found.forEach((one, n) => dot(one, 8 - (4 * n) / found.length, true, colour("rival")));
    pen.lineWidth = 2.5;
    dot(neuron, 11, false, colour("dina"));
    canvas.addEventListener("click", (event) => {
      const box = canvas.getBoundingClientRect(), scale = side / box.width;
      const spot = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      let nearest = 0, least = Infinity;
      for (let n = 0; n < x.values.length; n += 1) {
        const [a, b] = place(n), distance = (a - spot[0]) ** 2 + (b - spot[1]) ** 2;
        if (distance < least) [nearest, least] = [n, distance];
      }
      chooseNeuron(nearest);
    });
    fill("cortex", canvas, make("figcaption", {}, `Cortex from above, ${number(span)}${NARROW}µm wide. Orange: neurons of the table, larger for more. Blue ring: chosen neuron. A click chooses the nearest neuron.`));
  }

  // ---- one neuron ------------------------------------------------------------------------------------------------------------
  function listNeurons() {
    const by = column(at("neuron-order").value);
    order = Array.from(data.neurons.values.keys());
    const size = (n) => (Number.isFinite(by.values[n]) ? by.values[n] : -Infinity);
    if (by !== null) order.sort((a, b) => size(b) - size(a) || a - b);
    fillList("neuron", order.map((one) => make("option", { value: one }, by === null ? neuronName(one) : `${neuronName(one)} (${number(by.values[one])})`)));
    at("neuron").value = neuron;
  }

  async function chooseNeuron(place) {
    neuron = place;
    if (listed.length) showContributing();
    await showNeuron();
  }

  function stepNeuron(by) {
    chooseNeuron(order[(order.indexOf(neuron) + by + order.length) % order.length]);
  }

  async function showNeuron() {
    const mine = neuron;
    at("neuron").value = neuron;
    const [field, best] = [await fieldFigure(), await bestOfNeuron()];
    if (mine !== neuron) return;
    const contribution = column("contribution"), error = column("contribution_error");
    const words = contribution === null || !Number.isFinite(contribution.values[neuron])
      ? ""
      : ` Contribution ${withUnits(contribution.values[neuron], contribution.units)}${error === null ? "" : ` ± ${number(error.values[neuron])} (standard error)`},`
        + ` rank ${1 + contribution.values.filter((one) => one > contribution.values[neuron]).length} of ${facts.n_neurons}.`;
    const said = `Neuron ${data.neurons.values[neuron]}.${words}${facts.no_profiles ? ` ${facts.no_profiles}` : ""}`;
    if (at("neuron-words").textContent !== said) at("neuron-words").textContent = said; // read aloud only when it changes
    fill("field", ...field);
    const rows = facts.columns.map((one, n) => make("tr", {}, make("th", { scope: "row", class: "word" }, one.words), make("td", {}, withUnits(data.columns.row(n)[neuron], one.units))));
    fill("facts", headRow(["fact", "value"], [0]), make("tbody", {}, ...rows));
    fill("neuron-best", ...best);
    showResponses();
    showLayers();
  }

  async function fieldFigure() {
    const names = ["field_row", "field_column", "field_size", "orientation_deg", "frequency"];
    const [row, across, size, angle, frequency] = names.map((name) => (column(name) ?? { values: [] }).values[neuron]);
    if (facts.no_profiles || !Number.isFinite(row) || !listed.length) {
      return [make("figcaption", {}, facts.no_profiles ?? "No receptive field was found for this neuron.")];
    }
    const fit = column("fit_correlation"), r = fit === null ? NaN : fit.values[neuron], chance = facts.fit_chance ?? 0;
    const tested = `Its prediction correlates by ${number(r, 2)} with responses to images left out of the fit`;
    const bound = facts.fit_chance ? `chance: ${number(-chance, 2)} to ${number(chance, 2)}` : "chance is not known";
    if (fit !== null && !(r > chance)) {
      const why = Number.isFinite(r) ? `${tested} (${bound})` : "It could not be tested on images left out of the fit";
      return [make("figcaption", {}, `No field is drawn. ${why}: place, size, orientation and frequency of this field mean nothing.`)];
    }
    const width = 420, scale = width / facts.field_width, height = Math.round(scale * facts.field_height);
    const place = data.stimuli.values[stimulus];
    const isSized = Number.isFinite(size), radius = scale * (isSized ? 2 * size : 0.06 * facts.field_width);
    const words = `Receptive field over ${nameOf(place)}: centre at row ${number(row)}, column ${number(across)} of ${facts.field_height} by ${facts.field_width} pixels`;
    const { canvas, pen } = drawing(width, height, words);
    pen.globalAlpha = 0.65;
    pen.drawImage(await picture(place, "", true), 0, 0, width, height);
    pen.globalAlpha = 1;
    const [x, y] = [scale * (across + 0.5), scale * (row + 0.5)];
    pen.save();
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    outlined(pen);
    if (Number.isFinite(angle)) {
      pen.clip();
      pen.translate(x, y);
      pen.rotate((-angle * Math.PI) / 180); // anticlockwise as seen
      const apart = frequency > 0 ? Math.max(3, scale / frequency) : radius;
      for (let n = -Math.ceil(radius / apart); n <= radius / apart; n += 1) {
        pen.beginPath();
        pen.moveTo(-radius, n * apart);
        pen.lineTo(radius, n * apart);
        outlined(pen);
      }
    }
    pen.restore();
    const caption = `Fitted receptive field over the chosen image. Circle: ${isSized ? "two standard deviations" : "the centre; the size is not known"}. Lines: orientation of the preferred bars${frequency > 0 ? ", one cycle apart" : ""}.${fit === null ? "" : ` ${tested} (${bound}).`}`;
    return [canvas, make("figcaption", {}, caption)];
  }

  function outlined(pen, most = 4) { // seen on light and on dark images
    for (const [width, tone] of [[Math.min(4, most), "#000000"], [Math.min(2, most / 2), "#ffb066"]]) {
      pen.lineWidth = width;
      pen.strokeStyle = tone;
      pen.stroke();
    }
  }

  async function bestOfNeuron() {
    const best = data.best_images.row(neuron), responses = data.best_responses.row(neuron);
    const items = [];
    for (const [n, one] of best.entries()) {
      if (one < 0) continue;
      items.push(make("li", {}, await picture(one, `Best image ${n + 1}: ${nameOf(one)}`), make("b", {}, String(n + 1)), ` response ${number(responses[n])}`, make("br"), bdi(nameOf(one))));
    }
    return items;
  }

  function showResponses() {
    const sorted = Array.from(data.responses.row(neuron)).sort((a, b) => b - a), [low, high] = data.response_range.row(neuron);
    const row = listed.length ? data.response_row.values[stimulus] : -1;
    const mine = row < 0 ? NaN : data.responses.row(neuron)[row];
    const rank = 1 + sorted.filter((one) => one > mine).length;
    const value = low + (mine / N_STEPS) * (high - low);
    const said = Number.isFinite(mine) ? `response to the chosen image about ${number(value, 2)}, place ${rank} of ${sorted.length}` : "no response to the chosen image";
    const width = Math.min(900, Math.max(280, at("responses").clientWidth)), height = 170, left = 46, bottom = 24;
    const { canvas, pen } = drawing(width, height, `${facts.average ? "Average responses" : "Responses"} to ${sorted.length} test images from the strongest to the weakest, ${number(high)} to ${number(low)}; ${said}`);
    const [top, bar] = [8, (width - left - 8) / sorted.length];
    const [least, most] = [Math.min(0, low), Math.max(0, high)]; // bars begin at zero
    const y = (one) => top + (height - bottom - top) * (1 - (one - least) / (most - least || 1));
    sorted.forEach((one, n) => {
      const isMine = Number.isFinite(mine) && n === rank - 1, size = low + (one / N_STEPS) * (high - low);
      pen.fillStyle = colour(isMine ? "rival" : "dina");
      pen.fillRect(left + n * bar, Math.min(y(size), y(0)), Math.max(isMine ? 3 : 0.5, bar - (bar > 3 ? 1 : 0)), Math.max(1, Math.abs(y(size) - y(0))));
    });
    pen.fillStyle = colour("muted");
    pen.textAlign = "right";
    pen.fillText(number(most), left - 6, y(most) + 8);
    pen.fillText(number(least), left - 6, y(least));
    pen.textAlign = "left";
    pen.fillText(`${sorted.length} test images, strongest response first`, left, height - 6);
    fill("responses", canvas, make("figcaption", {}, `${facts.average ? "Average responses" : "Responses"} in the units of the recording. Orange: ${said}.`));
  }

  function showLayers() {
    const row = data.layer_row ? data.layer_row.values[neuron] : -1;
    at("layers-words").textContent = facts.no_layers
      ?? (row < 0 ? "This neuron was not among those whose layers were compared." : "Variance of averaged responses that each layer of the trained network explains beyond Gabor channels; grey: the same network with permuted weights.");
    if (row < 0) {
      fill("layers");
      return;
    }
    const [gain, permuted] = [data.layer_gain.row(row), data.layer_gain_permuted.row(row)];
    const most = Math.max(1e-9, endsOf(gain)[1], endsOf(permuted)[1]);
    const bar = (value, name) => {
      const drawn = make("span", { class: name, "aria-hidden": "true" });
      drawn.style.width = `${(100 * Math.max(0, value)) / most}%`;
      return drawn;
    };
    const percent = (value) => `${number(100 * value, 2)}${NARROW}%`;
    const rows = facts.layers.map((name, n) => make(
      "tr", {}, make("th", { scope: "row", class: "word" }, bdi(name)), make("td", {}, percent(gain[n])), make("td", {}, percent(permuted[n])),
      make("td", { class: "bars" }, bar(gain[n], "bar"), bar(permuted[n], "bar null")),
    ));
    fill("layers", headRow(["layer", "gain", "permuted weights", "both"], [0, 3]), make("tbody", {}, ...rows));
  }

  // ---- controls ------------------------------------------------------------------------------------------------------------
  function offer(id, words) {
    fill(id, ...words.map((word, n) => make("option", { value: n }, word)));
  }

  function listen() {
    at("previous-image").addEventListener("click", () => step(-1));
    at("next-image").addEventListener("click", () => step(1));
    at("image").addEventListener("change", () => { stimulus = Number(at("image").value); showImage(); });
    at("query").addEventListener("change", () => { trial = Number(at("query").value); listImages(); });
    for (const id of ["rank-filter", "occluded-filter"]) at(id).addEventListener("change", listImages);
    at("name-filter").addEventListener("input", listImages);
    at("group").addEventListener("change", () => { group = Number(at("group").value); showImage(); });
    at("sweep").addEventListener("change", () => { sweep = Number(at("sweep").value); showImage(); });
    at("previous-neuron").addEventListener("click", () => stepNeuron(-1));
    at("next-neuron").addEventListener("click", () => stepNeuron(1));
    at("neuron").addEventListener("change", () => chooseNeuron(Number(at("neuron").value)));
    at("neuron-order").addEventListener("change", listNeurons);
    document.addEventListener("keydown", (event) => {
      const isElsewhere = event.target instanceof Element && event.target.closest("input, select, textarea, .scroll");
      if (isElsewhere || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
        event.preventDefault();
        step(event.key === "ArrowRight" ? 1 : -1);
      }
    });
    let waiting = 0;
    window.addEventListener("resize", () => {
      clearTimeout(waiting);
      waiting = setTimeout(showResponses, 200);
    });
    // canvases have the colours of the moment in them
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (listed.length) showImage(); else showNeuron(); });
  }

  function queryWords(which) {
    return which < 0 ? (facts.average ? "average over trials" : "response") : facts.average ? `single trial ${which + 1}` : "single trial";
  }

  async function begin() {
    if (typeof DecompressionStream === "undefined") throw new Error("This browser is too old for the explorer; it needs DecompressionStream.");
    facts = await packet("overview");
    data = facts.arrays;
    data.query_stimulus.values.forEach((place, query) => queries.set(`${place} ${data.query_trial.values[query]}`, query));
    const trials = [...new Set(data.query_trial.values)].sort((a, b) => a - b);
    trial = trials[0];
    fill("query", ...trials.map((which) => make("option", { value: which }, queryWords(which))));
    offer("group", facts.groups.map(([name, members]) => `${name} (${members.length})`));
    offer("sweep", facts.sweeps ?? []);
    sweep = facts.main_sweep ?? 0;
    at("sweep").value = sweep;
    at("occluded-filter").disabled = !data.occluded;
    at("group").parentElement.parentElement.hidden = facts.groups.length < 2;
    at("maps-beside").textContent = facts.beside ? `The towers compare further features that have no places and cannot be drawn as maps: ${facts.beside}.` : "";
    legend("maps-legend", `${MINUS}${SHOWN_DEVIATIONS}`, "deviations of the channel; blue: less than the mean image has there, orange: more", `+${SHOWN_DEVIATIONS}`);
    at("decoders-remarks").textContent = facts.remarks.join(" ");
    at("left-out").hidden = !facts.left_out.length;
    fill("left-out", ...facts.left_out.map((words) => make("li", {}, words)));
    const known = facts.columns.filter((one) => !one.name.startsWith("position") && !one.name.startsWith("field") && one.name !== "contribution_error");
    fill("neuron-order", ...known.map((one) => make("option", { value: one.name }, `largest first: ${one.words}`)), make("option", { value: "" }, "number"));
    listNeurons();
    neuron = order[0] ?? 0;
    listen();
    at("explorer").hidden = false;
    listImages();
  }

  const sayWhy = (error) => { at("status").textContent = `The explorer cannot go on: ${error.message}`; };
  window.addEventListener("unhandledrejection", (event) => { // of a packet that is asked for after the server has ended
    sayWhy(event.reason);
    event.preventDefault();
  });
  await begin().catch(sayWhy);
})();
