"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const DAY_MS = 86400000;
  const PLAY_MS = 500;
  const days = data.bands[0].days;
  const state = { day: days.length - 1, band: 0, opacity: 0.85, playing: null, pixel: null, chart: null };

  // ---- pictures ---------------------------------------------------------------------------------------------------
  const bytesOf = new Map(); // text of a picture -> promise of its bytes

  function decoded(text, width) {
    if (!bytesOf.has(text)) bytesOf.set(text, decode(text, width));
    return bytesOf.get(text);
  }

  async function decode(text, width) {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    for (let i = 0; i < bytes.length; i++) if (i % width) bytes[i] += bytes[i - 1]; // modulo 256
    return bytes;
  }

  function draw(bytes, [height, width], colourOf) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] === data.nodata) continue; // stays transparent
      const colour = colourOf(bytes[i]);
      image.data.set(colour, 4 * i);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return canvas.toDataURL();
  }

  // ---- maps -------------------------------------------------------------------------------------------------------
  const options = { attributionControl: false, keyboard: false, zoomSnap: 0.25, minZoom: 3, maxZoom: 18 };
  const left = L.map("left", options);
  const right = L.map("right", options);
  const corners = (frame) => {
    const [south, west, north, east] = frame.corners;
    return [[south, west], [north, east]];
  };
  const everything = L.latLngBounds(data.frames.flatMap(corners));
  const EMPTY = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";

  function overlays(map, pane, order, opacity) {
    map.createPane(pane).style.zIndex = order;
    return data.frames.map((frame) => L.imageOverlay(EMPTY, corners(frame), { pane, opacity, alt: "" }).addTo(map));
  }

  const shades = [overlays(left, "shade", 250, 1), overlays(right, "shade", 250, 1)];
  const predicted = overlays(left, "moisture", 300, state.opacity);
  const retrieved = overlays(right, "moisture", 300, state.opacity);
  for (const map of [left, right]) {
    map.fitBounds(everything.pad(0.02));
    L.control.scale({ imperial: false }).addTo(map);
    for (const station of data.stations) {
      L.circleMarker(station.place, { radius: 6, color: "#fff", weight: 2, fillColor: "#22303c", fillOpacity: 1 })
        .bindTooltip(text("span", "weather station " + station.name))
        .addTo(map);
    }
    if (data.polygons) {
      L.geoJSON(data.polygons, {
        style: { color: "#22303c", weight: 2, fill: false },
        pointToLayer: (_, place) => L.circleMarker(place, { radius: 5, color: "#22303c" }),
        interactive: false,
      }).addTo(map);
    }
    map.on("click", (event) => showSeries(event.latlng));
  }
  let following = false;
  for (const [map, other] of [[left, right], [right, left]]) {
    map.on("move", () => {
      if (following || $("right-pane").hidden) return;
      following = true;
      other.setView(map.getCenter(), map.getZoom(), { animate: false });
      following = false;
    });
  }

  function text(tag, content) {
    const element = document.createElement(tag);
    element.textContent = content;
    return element;
  }

  async function shade() {
    if (!data.hillshade) return;
    data.frames.forEach(async (frame, number) => {
      const bytes = await decoded(data.hillshade[number], frame.shape[1]);
      const url = draw(bytes, frame.shape, (value) => [value, value, value]);
      shades.forEach((pair) => pair[number].setUrl(url));
    });
  }

  // ---- the day ----------------------------------------------------------------------------------------------------
  const named = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeZone: "UTC" });
  const short = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const asDate = (day) => new Date(day + "T00:00:00Z");

  let drawing = 0;
  async function show() {
    const turn = ++drawing;
    const band = data.bands[state.band];
    const day = days[state.day];
    $("slider").value = state.day;
    $("slider").setAttribute("aria-valuetext", day);
    const note = data.notes[day];
    $("day").textContent = named.format(asDate(day)) + (note ? " · " + note : "");
    $("left-title").textContent = band.label;
    legend(band);
    const pictures = await Promise.all(
      data.frames.map((frame, number) => decoded(band.pictures[number][state.day], frame.shape[1])),
    );
    if (turn !== drawing) return; // another day was asked for meanwhile
    pictures.forEach((bytes, number) => {
      predicted[number].setUrl(draw(bytes, data.frames[number].shape, (value) => band.colours[Math.min(value, band.colours.length - 1)]));
    });
    if (!$("right-pane").hidden) await showRetrieved(day, turn);
    markDay();
    document.body.dataset.shown = day + " " + band.key;
  }

  async function showRetrieved(day, turn) {
    const band = data.retrieved;
    let last = -1; // the latest image of the day or before it
    band.days.forEach((each, number) => { if (each <= day) last = number; });
    const age = last < 0 ? null : Math.round((asDate(day) - asDate(band.days[last])) / DAY_MS);
    $("right-title").textContent = last < 0
      ? "Retrieved from radar: no image yet"
      : "Retrieved from radar, " + band.days[last] + (age ? ` (${age} day${age > 1 ? "s" : ""} before)` : " (the same day)");
    const urls = await Promise.all(data.frames.map(async (frame, number) => {
      if (last < 0) return EMPTY;
      const bytes = await decoded(band.pictures[number][last], frame.shape[1]);
      return draw(bytes, frame.shape, (value) => band.colours[Math.min(value, band.colours.length - 1)]);
    }));
    if (turn === drawing) urls.forEach((url, number) => retrieved[number].setUrl(url));
  }

  function legend(band) {
    const ramp = $("ramp").getContext("2d");
    for (let x = 0; x < 200; x++) {
      ramp.fillStyle = `rgb(${band.colours[Math.round((x / 199) * (band.colours.length - 1))].join(",")})`;
      ramp.fillRect(x, 0, 1, 10);
    }
    [$("low").textContent, $("high").textContent] = band.ends;
  }

  function go(day) {
    state.day = Math.max(0, Math.min(days.length - 1, day));
    show();
  }

  function play(on) {
    clearInterval(state.playing);
    state.playing = on ? setInterval(() => go((state.day + 1) % days.length), PLAY_MS) : null;
    $("play").textContent = on ? "⏸" : "▶";
    $("play").setAttribute("aria-label", on ? "Pause" : "Play the days");
  }

  function choose(band) {
    state.band = band % data.bands.length;
    $("band").value = state.band;
    show();
  }

  function compare(on) {
    if (!data.retrieved) return;
    $("compare").checked = on;
    $("right-pane").hidden = !on;
    $("maps").classList.toggle("two", on);
    resize();
    if (on) right.setView(left.getCenter(), left.getZoom(), { animate: false });
    show();
  }

  function resize() {
    left.invalidateSize({ animate: false });
    right.invalidateSize({ animate: false });
    if (state.chart) state.chart.setSize({ width: $("chart").clientWidth, height: 190 });
  }

  // ---- a pixel's series -------------------------------------------------------------------------------------------
  const mercator = L.CRS.EPSG3857;
  function pixelAt(place) {
    for (const [number, frame] of data.frames.entries()) {
      if (!L.latLngBounds(corners(frame)).contains(place)) continue;
      const [[south, west], [north, east]] = corners(frame);
      const top = mercator.project(L.latLng(north, west));
      const bottom = mercator.project(L.latLng(south, east));
      const point = mercator.project(place);
      const [height, width] = frame.shape;
      const row = Math.min(height - 1, Math.floor(((top.y - point.y) / (top.y - bottom.y)) * height));
      const col = Math.min(width - 1, Math.floor(((point.x - top.x) / (bottom.x - top.x)) * width));
      return { number, index: row * width + col, place };
    }
    return null;
  }

  // a place itself where an extent has it, else the middle of the nearest extent
  function nearest(place) {
    const boxes = data.frames.map((frame) => L.latLngBounds(corners(frame)));
    if (boxes.some((box) => box.contains(place))) return place;
    const middles = boxes.map((box) => box.getCenter());
    return middles.reduce((best, middle) => (left.distance(place, middle) < left.distance(place, best) ? middle : best));
  }

  async function valuesOf(band, pixel) {
    const width = data.frames[pixel.number].shape[1];
    const pictures = await Promise.all(band.pictures[pixel.number].map((picture) => decoded(picture, width)));
    return new Map(band.days.map((day, number) => {
      const value = pictures[number][pixel.index];
      return [day, value === data.nodata ? null : value * data.step];
    }));
  }

  const marker = L.circleMarker([0, 0], { radius: 7, color: "#c0392b", weight: 3, fill: false, interactive: false });

  async function showSeries(place) {
    const pixel = pixelAt(place);
    if (!pixel) return closeSeries();
    state.pixel = pixel;
    marker.setLatLng(place).addTo(left);
    const bands = new Map(data.bands.map((band) => [band.key, band]));
    const [ssm, low, high, seen] = await Promise.all(
      [data.bands[0], bands.get("lower"), bands.get("upper"), data.retrieved].map((band) => band && valuesOf(band, pixel)),
    );
    if (state.pixel !== pixel) return;
    $("series").hidden = false;
    const frame = data.frames[pixel.number].name;
    $("series-title").textContent = `${frame}, ${place.lat.toFixed(4)}°, ${place.lng.toFixed(4)}°`;
    chart(ssm, low, high, seen, rainAt(place));
    resize();
    left.panInside(place, { padding: [60, 60] });
    const shown = [...ssm.values()].filter((value) => value !== null).length;
    $("series-note").textContent = shown
      ? "Line: soil moisture" + (low ? ", with its interval" : "") + (seen ? "; dots: retrieved from radar" : "") + (data.rain ? "; bars: rain, mm a day." : ".")
      : "This pixel has no value on any of these days: water, frozen, or an input is missing.";
  }

  function rainAt(place) {
    if (!data.rain) return new Map();
    const distance = ([lat, lng]) => left.distance(place, [lat, lng]);
    let nearest = 0;
    data.rain.points.forEach((point, number) => { if (distance(point) < distance(data.rain.points[nearest])) nearest = number; });
    return new Map(data.rain.days.map((day, number) => [day, data.rain.mm[nearest][number]]));
  }

  function chart(ssm, low, high, seen, rain) {
    const first = [...days, ...(seen ? seen.keys() : []), ...rain.keys()].reduce((a, b) => (a < b ? a : b));
    const axis = [];
    for (let day = asDate(first); day <= asDate(days[days.length - 1]); day = new Date(+day + DAY_MS)) axis.push(day.toISOString().slice(0, 10));
    const of = (values) => axis.map((day) => (values && values.get(day) != null ? values.get(day) : null));
    const share = (_, value) => (value == null ? "–" : value.toFixed(2));
    const line = (label, extra) => ({ label, scale: "y", value: share, ...extra });
    const bound = { stroke: "rgba(32, 105, 163, .5)", width: 1, points: { show: false } };
    const bars = { fill: "rgba(70, 160, 188, .55)", width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.7] }) };
    const dots = { stroke: "#b45309", width: 0, points: { show: true, size: 8, fill: "#b45309" }, paths: () => null };
    const drawn = [
      [low, line("lower", bound)],
      [high, line("upper", bound)],
      [ssm, line("soil moisture", { stroke: "#123166", width: 2, points: { show: true, size: 4 } })],
      [seen, line("retrieved", dots)],
      [rain.size ? rain : null, { label: "rain, mm", scale: "mm", ...bars }],
    ].filter(([values]) => values);
    const most = Math.max(10, ...rain.values());
    if (state.chart) state.chart.destroy();
    state.chart = new uPlot({
      width: $("chart").clientWidth,
      height: 190,
      tzDate: (stamp) => uPlot.tzDate(new Date(stamp * 1000), "Etc/UTC"),
      scales: { y: { range: [0, 1] }, mm: { range: [0, 2 * most] } },
      bands: low && high ? [{ series: [2, 1], fill: "rgba(32, 105, 163, .18)" }] : [],
      series: [
        { value: (_, stamp) => (stamp == null ? "–" : new Date(stamp * 1000).toISOString().slice(0, 10)), label: "day" },
        ...drawn.map(([, series]) => series),
      ],
      axes: [{ values: (_, stamps) => stamps.map((stamp) => short.format(new Date(stamp * 1000))) }, { scale: "y", size: 44 }, { scale: "mm", side: 1, grid: { show: false }, size: 44, show: rain.size > 0 }],
      hooks: {
        drawClear: [(plot) => {
          const x = plot.valToPos(asDate(days[state.day]) / 1000, "x", true);
          plot.ctx.fillStyle = "rgba(192, 57, 43, .25)";
          plot.ctx.fillRect(x - 2, plot.bbox.top, 4, plot.bbox.height);
        }],
      },
    }, [axis.map((day) => asDate(day) / 1000), ...drawn.map(([values]) => of(values))], $("chart"));
  }

  function markDay() {
    if (state.chart) state.chart.redraw(false);
  }

  function closeSeries() {
    state.pixel = null;
    if (state.chart) state.chart.destroy();
    state.chart = null;
    marker.remove();
    $("series").hidden = true;
    resize();
  }

  // ---- controls ---------------------------------------------------------------------------------------------------
  data.bands.forEach((band, number) => {
    const option = text("option", band.label);
    option.value = number;
    $("band").append(option);
  });
  for (const [number, frame] of [{ name: "all" }, ...data.frames].entries()) {
    const option = text("option", frame.name);
    option.value = number - 1;
    $("extent").append(option);
  }
  $("extents").hidden = data.frames.length < 2;
  $("extent").addEventListener("change", (event) => {
    const frame = data.frames[+event.target.value];
    left.fitBounds(frame ? corners(frame) : everything.pad(0.02));
  });
  $("slider").max = days.length - 1;
  $("ends").textContent = days.length > 1 ? days[0] + " to " + days[days.length - 1] : days[0];
  $("beside").hidden = !data.retrieved;
  $("legend").hidden = false;
  for (const [name, value] of Object.entries(data.about)) $("facts").append(text("dt", name), text("dd", value));
  $("slider").addEventListener("input", (event) => go(+event.target.value));
  $("band").addEventListener("change", (event) => choose(+event.target.value));
  $("opacity").addEventListener("input", (event) => {
    state.opacity = event.target.value / 100;
    [...predicted, ...retrieved].forEach((overlay) => overlay.setOpacity(state.opacity));
  });
  $("compare").addEventListener("change", (event) => compare(event.target.checked));
  $("play").addEventListener("click", () => play(!state.playing));
  $("close").addEventListener("click", closeSeries);
  $("about-button").addEventListener("click", () => $("dialog").showModal());
  window.addEventListener("resize", resize);

  const PAN = { ArrowLeft: [-80, 0], ArrowRight: [80, 0], ArrowUp: [0, -80], ArrowDown: [0, 80] };
  const KEYS = {
    ArrowLeft: () => go(state.day - 1),
    ArrowRight: () => go(state.day + 1),
    Home: () => go(0),
    End: () => go(days.length - 1),
    " ": () => play(!state.playing),
    b: () => choose(state.band + 1),
    r: () => compare($("right-pane").hidden),
    "+": () => left.zoomIn(),
    "-": () => left.zoomOut(),
    Enter: () => showSeries(nearest(left.getCenter())),
    Escape: closeSeries,
  };
  document.addEventListener("keydown", (event) => {
    if ($("dialog").open || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const own = event.target instanceof Element && event.target.closest("select, button, input:not(#slider)"); // keys mean something of their own there
    if (event.shiftKey && PAN[event.key]) left.panBy(PAN[event.key]);
    else if (act && (!own || event.key === "Escape")) act();
    else return;
    event.preventDefault();
  });

  shade();
  show();
})();
