/** The coefficients that a flag points at, as the library finds them. */
export { coefficientsPath } from "../library/coefficients-path.js";
