// Reads series from standard input, a line of JSON each, and prints when ical.js and node-ical have their dates.
//
// In: `named`, a calendar object with its zone by name; `own`, the same with its zone under a name that only
// its VTIMEZONE explains; `zone`; `starts`, in seconds since 1970, for which this Node's offsets are wanted.
// Out: the starts that each has, in seconds, and the offsets in minutes that Node's own zones have then.

import { createInterface } from "node:readline";
import ICAL from "ical.js";
import ical from "node-ical";

const YEAR = 366 * 86_400_000;

function byIcalJs(text) {
  const calendar = new ICAL.Component(ICAL.parse(text));
  const events = calendar.getAllSubcomponents("vevent");
  const [master] = events.filter((one) => one.hasProperty("rrule"));
  const exceptions = events.filter((one) => one !== master).map((one) => new ICAL.Event(one));
  const event = new ICAL.Event(master, { exceptions });
  const found = [];
  const dates = event.iterator();
  for (let next = dates.next(); next; next = dates.next()) {
    found.push(event.getOccurrenceDetails(next).startDate.toUnixTime());
  }
  return found.sort((a, b) => a - b);
}

function byNodeIcal(text, starts) {
  const events = Object.values(ical.sync.parseICS(text)).filter((one) => one.type === "VEVENT");
  const from = new Date(starts[0] * 1000 - YEAR);
  const to = new Date(starts.at(-1) * 1000 + YEAR);
  const dates = events.flatMap((one) => ical.expandRecurringEvent(one, { from, to }));
  return dates.map((one) => one.start.getTime() / 1000).sort((a, b) => a - b);
}

function offsets(zone, starts) {
  const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
  return starts.map((at) => {
    const name = format.formatToParts(at * 1000).find((one) => one.type === "timeZoneName").value;
    const [, sign, hours, minutes] = /GMT(?:([+-])(\d+):(\d+))?/.exec(name);
    return sign ? Number(`${sign}1`) * (60 * Number(hours) + Number(minutes)) : 0;
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const { named, own, zone, starts } = JSON.parse(line);
  const found = {
    "ical.js": byIcalJs(own),
    "node-ical": byNodeIcal(named, starts),
    offsets: offsets(zone, starts),
  };
  console.log(JSON.stringify(found));
}
