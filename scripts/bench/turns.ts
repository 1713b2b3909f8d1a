/** Two peers that take turns within one run, so that both see the machine as it is. */
import type { Peer } from "./peer.js";
import { median } from "./statistics.js";

/** Milliseconds of every step, and of every round the other's median over ours. */
export interface Turns {
  readonly ours: number[];
  readonly torch: number[];
  readonly ratios: number[];
}

/** `count` steps of each peer in every round; of ours alone where there is no other. */
export async function takeTurns(ours: Peer, torch: Peer | undefined, rounds: number, count: number): Promise<Turns> {
  const times: Turns = { ours: [], torch: [], ratios: [] };
  for (let round = 0; round < rounds; round++) {
    const our = await msOf(ours, { kind: "step", count });
    times.ours.push(...our);
    if (torch === undefined) continue;
    const their = await msOf(torch, { kind: "step", count });
    times.torch.push(...their);
    times.ratios.push(median(their) / median(our));
  }
  return times;
}

/** Of a request that is timed. */
export async function msOf(peer: Peer, request: Readonly<Record<string, unknown>>): Promise<number[]> {
  return (await peer.ask(request)).ms as number[];
}
