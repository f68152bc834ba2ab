// What KaTeX says of each formula in tests/files/pdf/formulas.txt, as tests/files/pdf/katex.json.
// Run in a folder where `npm install katex` was run:  node PATH/scripts/katex_verdicts.mjs
// The result is committed, so that the tests need no Node.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const katex = createRequire(process.cwd() + "/")("katex");
const files = fileURLToPath(new URL("../tests/files/pdf/", import.meta.url));
const formulas = readFileSync(files + "formulas.txt", "utf8").split("\n").filter((line) => line && !line.startsWith("#"));
const refused = {};
for (const formula of formulas) {
  try {
    katex.renderToString(formula, { displayMode: true, throwOnError: true, strict: false, trust: true, maxExpand: 1000 });
  } catch (error) {
    refused[formula] = String(error.message).split("\n")[0].slice(0, 120);
  }
}
const verdicts = { katex: katex.version, formulas: formulas.length, refused };
writeFileSync(files + "katex.json", JSON.stringify(verdicts, null, 1) + "\n");
console.log(`KaTeX ${katex.version}: ${formulas.length} formulas, ${Object.keys(refused).length} refused`);
