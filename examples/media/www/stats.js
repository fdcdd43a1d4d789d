// The edge's numbers: GET /mesh/stats every two seconds while the page is seen.

/**
 * @typedef {{swarm: string, presentation: string, peers: number, peer_bytes: number, origin_bytes: number,
 *   relayed_bytes: number, offload: number, saving: number}} SwarmStats
 * @typedef {{sessions: number, swarms: SwarmStats[], peer_bytes: number, origin_bytes: number,
 *   relayed_bytes: number, offload: number, saving: number, origin_egress_bytes: number}} Stats
 */

const INTERVAL = 2000; // ms
const PATIENCE = 5000; // ms for one answer

/**
 * poll asks until the page goes. A hidden page does not ask.
 * @param {string} url
 * @param {(stats: Stats) => void} onStats
 * @param {(reason: string) => void} onSilence with a few words why there are no numbers
 */
export async function poll(url, onStats, onSilence) {
  for (;;) {
    if (!document.hidden) {
      let stats = null;
      let reason = "";
      try {
        const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
        if (response.ok) stats = await response.json();
        else reason = response.status === 404 ? "Numbers are off" : `Edge answers ${response.status}`;
      } catch {
        reason = "Edge does not answer";
      }
      if (stats) onStats(stats);
      else onSilence(reason);
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}

/** Rates turns the running totals of Stats into rates, and remembers them. */
export class Rates {
  /** @type {{at: number, peers: number, origin: number}[]} in bit/s, oldest first; at in ms */
  points = [];
  #last = null;

  /** @param {number} span ms to remember */
  constructor(span) {
    this.span = span;
  }

  /** @param {number} at ms @param {Stats} stats */
  add(at, stats) {
    const last = this.#last;
    this.#last = { at, peer: stats.peer_bytes, origin: stats.origin_bytes };
    if (last && at > last.at) {
      // Totals shrink when a swarm ends: that is no negative rate.
      const rate = (now, before) => (Math.max(0, now - before) * 8000) / (at - last.at);
      this.points.push({ at, peers: rate(stats.peer_bytes, last.peer), origin: rate(stats.origin_bytes, last.origin) });
    }
    while (this.points.length && this.points[0].at < at - this.span) this.points.shift();
  }

  /** gap forgets the last totals, so that no rate is drawn over a time without numbers. */
  gap() {
    this.#last = null;
  }

  /** now is the mean of the last few points, which follows segments rather than their edges. */
  now() {
    const few = this.points.slice(-4);
    const mean = (key) => few.reduce((sum, p) => sum + p[key], 0) / (few.length || 1);
    return { peers: mean("peers"), origin: mean("origin") };
  }
}
