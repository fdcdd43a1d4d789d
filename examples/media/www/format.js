// How numbers are written on the page.

const number = (digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const whole = number(0);
const one = number(1);
const NBSP = "\u00a0";

/**
 * scaled writes a value with three digits or less and a decimal prefix.
 * @param {number} value
 * @param {string[]} units from the smallest, each 1000 times the one before
 */
function scaled(value, units) {
  let i = 0;
  while (value >= 999.5 && i < units.length - 1) {
    value /= 1000;
    i++;
  }
  return (i > 0 && value < 99.95 ? one : whole).format(value) + NBSP + units[i];
}

/** @param {number} n bits per second, a round number on an axis */
export const roundRate = (n) => rate(n).replace(".0", "");

/** @param {number} n bytes */
export const bytes = (n) => scaled(n, ["B", "kB", "MB", "GB", "TB", "PB"]);

/** @param {number} n bits per second */
export const rate = (n) => scaled(n, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]);

/**
 * percent never rounds up to a whole that was not reached.
 * @param {number} share 0 to 1
 */
export const percent = (share) => whole.format(Math.floor(share * 100 + 1e-9)) + NBSP + "%";

/** @param {number} n @param {string} noun */
export const count = (n, noun) => whole.format(n) + " " + noun + (n === 1 ? "" : "s");
