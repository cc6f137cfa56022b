// Prints as JSON what html-validate finds in the named pages, by the rules for their kind.
import { FileSystemConfigLoader, HtmlValidate } from "html-validate";

const RULES = {
  // Where something lies on a line of time is no matter of style.
  page: { "no-inline-style": "off" },
  // What a browser made of a page writes each attribute with a value.
  live: {
    "no-inline-style": "off",
    "attribute-boolean-style": "off",
    "attribute-empty-style": "off",
  },
  // Outlook on Windows lays mails out as Word does: by tables, their old attributes and conditional
  // comments; many programs take styles from elements alone. A title is the meeting's, in its length.
  mail: {
    "no-inline-style": "off",
    "no-deprecated-attr": "off",
    "no-conditional-comment": "off",
    "prefer-tbody": "off",
    "long-title": "off",
  },
};
const [kind, ...pages] = process.argv.slice(2);
const validate = new HtmlValidate(
  new FileSystemConfigLoader({
    root: true,
    extends: ["html-validate:recommended", "html-validate:document"],
    rules: RULES[kind],
  }),
);
const found = [];
for (const page of pages) {
  const report = await validate.validateFile(page);
  for (const { messages } of report.results)
    for (const { ruleId, message, selector } of messages)
      found.push(`${page}: ${ruleId}: ${message} (${selector})`);
}
console.log(JSON.stringify(found));
