/**
 * Sharpness-aware steps around Adam: the gradient is taken a little uphill from the parameters and applied at the parameters, so that flat minima are
 * preferred. A step costs two passes over the same examples. Sources: SAM (Foret et al. 2021, arXiv:2010.01412, equation 2); adaptive:
 * ASAM (Kwon et al. 2021, arXiv:2102.11600, equation 8), as SAMerging (arXiv:2512.21288) has it, with T = |parameters|.
 */

export interface SamOptions {
  /** Length of the move uphill; 0: plain steps. */
  readonly rho: number;
  /** Each parameter's move is in proportion to its square: parameters that are 0 do not move. */
  readonly adaptive: boolean;
}

/** Whether steps are sharpness-aware. */
export function isSharpnessAware(options: SamOptions | undefined): options is SamOptions {
  return options !== undefined && options.rho > 0;
}

/**
 * The parameters moved uphill: by rho g / ||g||, or adaptive by rho w^2 g / || |w| g ||. The same parameters where the gradient is zero.
 */
export function uphill(parameters: Float64Array, gradient: ArrayLike<number>, { rho, adaptive }: SamOptions) {
  const scaled = parameters.map((value, index) => (adaptive ? Math.abs(value) : 1) * (gradient[index] ?? 0));
  const length = Math.hypot(...scaled);
  if (length === 0) return parameters;
  return parameters.map(
    (value, index) => value + (rho / length) * (adaptive ? Math.abs(value) : 1) * (scaled[index] ?? 0),
  );
}
