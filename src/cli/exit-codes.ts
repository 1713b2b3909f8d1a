/** Exit codes; those of UserErrors (2 usage or config, 3 input, 4 numeric, 5 tracker) are in errors.ts. */
export const EXIT_OK = 0;
/** A bug of ours, or a check of `doctor` that failed. */
export const EXIT_FAILURE = 1;
/** Stopped by Ctrl-C or SIGTERM; 128 + SIGINT, as shells report it. */
export const EXIT_INTERRUPTED = 130;
