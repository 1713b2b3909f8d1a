/** Differences in words: what is more has its plus. */

/** 1.25 with one digit: `+1.3`; a difference of 0: `+0.0`. */
export function signed(difference: number, digits: number): string {
  return `${difference < 0 ? "" : "+"}${difference.toFixed(digits)}`;
}
