/** Exit codes; those of UserErrors (2 usage or config, 3 input, 4 numeric, 5 tracker) are in errors.ts. */
export const EXIT_OK = 0;
/** A bug of ours, or a check of `doctor` that failed. */
export const EXIT_FAILURE = 1;
/** The result could not be written to stdout (full disk): as for any output that cannot be written. */
export const EXIT_OUTPUT_LOST = 2;
/** Some of many inputs could not be read, and the rest was done: as for a single one that cannot be used. */
export const EXIT_SOME_UNREAD = 3;
/** Stopped by Ctrl-C or SIGTERM; 128 + SIGINT, as shells report it. */
export const EXIT_INTERRUPTED = 130;
/** Nobody read the whole result; 128 + SIGPIPE, as shells report programs that it ends. */
export const EXIT_BROKEN_PIPE = 141;
