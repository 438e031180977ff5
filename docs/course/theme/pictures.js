// Pictures follow the theme that the reader chooses in mdBook.
//
// A chapter's <picture> names its dark file for `prefers-color-scheme: dark`, which is what a forge understands. Here
// the theme decides instead of the system: the condition is replaced by one that always or never holds.
"use strict";

(() => {
  const dark = ["coal", "navy", "ayu"];
  const sources = document.querySelectorAll("picture > source[media*='prefers-color-scheme']");

  const follow = () => {
    const isDark = dark.some((theme) => document.documentElement.classList.contains(theme));
    for (const source of sources) {
      source.media = isDark ? "all" : "not all";
    }
  };

  new MutationObserver(follow).observe(document.documentElement, { attributeFilter: ["class"] });
  follow();
})();
