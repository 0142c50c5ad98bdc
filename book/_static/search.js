// Opened from a folder, the search page cannot fetch the pages that it found: it gets
// their words from a script instead.
if (location.protocol === "file:") {
  const texts = new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = "_static/search-texts.js";
    script.onload = () => done(window.searchTexts);
    script.onerror = failed;
    document.head.append(script);
  });
  const fetched = window.fetch;
  window.fetch = async (address, ...rest) => {
    const name = String(address).replace(/^(\.\/)+/, "").replace(/\.html([#?].*)?$/, "");
    const found = (await texts)[name];
    return found === undefined ? fetched(address, ...rest) : new Response(found);
  };
}
