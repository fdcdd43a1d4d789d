// When a viewer looks for the next segment of a live playlist.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Lookout } from "../www/lookout.js";
import { Second } from "../www/playlist.js";

/**
 * run has a player reload every 2 s, 1.9 s after each segment of 2 s is listed, and look for every fourth segment.
 * @param {(n: number) => number} listed when segment n is listed, s
 * @returns {{late: number, looks: number}[]} of those segments: how long after that they were seen, s, and after how many looks
 */
function run(listed, until = 200) {
  const lookout = new Lookout(), found = [];
  let known = 0, looks = 0, reload = listed(0) + 1.9;
  for (let now = reload; now < until; ) {
    let last = known;
    while (listed(last + 1) <= now) last++;
    if (now >= reload) reload += 2;
    else looks++;
    if (last > known && last % 4 === 0) found.push({ late: now - listed(last), looks }), (looks = 0);
    known = last;
    lookout.loaded(now * Second, 2 * known * Second, 2 * Second);
    now = (known + 1) % 4 ? reload : Math.min(reload, lookout.next() / Second);
  }
  return found;
}

test("once it knows when segments come it looks twice for each", () => {
  const [first, ...others] = run((n) => 2 * n + 0.7);
  assert.ok(first.late < 0.31 && first.looks < 8, JSON.stringify(first));
  assert.ok(others.length > 20 && others.every(({ late, looks }) => late < 0.31 && looks <= 2), JSON.stringify(others));
});

test("it follows when they come later or sooner", () => {
  const later = run((n) => 2 * n + 0.7 + (n > 40 ? 0.8 : 0)), sooner = run((n) => 2 * n + 1.6 - (n > 40 ? 0.8 : 0));
  for (const found of [later, sooner]) assert.ok(found.slice(-8).every(({ late, looks }) => late < 0.31 && looks <= 2), JSON.stringify(found));
});

test("it looks ever less often for what does not come", () => {
  const lookout = new Lookout();
  let now = 0, looks = 0;
  for (const end of [0, 2, 4]) lookout.loaded((now = (end + 0.5) * Second), end * Second, 2 * Second);
  for (; now < 120 * Second; looks++) lookout.loaded((now = lookout.next()), 4 * Second, 2 * Second);
  assert.ok(looks < 40, `${looks} looks in two minutes`);
});

test("a look that fails is the last until the player has loaded the playlist", () => {
  const lookout = new Lookout();
  lookout.loaded(Second, 0, 2 * Second);
  lookout.looks();
  assert.equal(lookout.next(), Infinity);
  lookout.loaded(2 * Second, 2 * Second, 2 * Second);
  assert.ok(lookout.next() < 4 * Second);
});
