"""The project's random numbers again (src/runtime/rng.ts), for fixtures that begin where a seed says: xoshiro128** 1.1
with a state hashed from keys."""

import hashlib
import json

WORD = 2**32 - 1


def own_words(*keys):
    """Yields integers from 0 to 2^32 - 1."""
    digest = hashlib.sha256(json.dumps(keys, separators=(",", ":")).encode()).digest()
    state = [int.from_bytes(digest[4 * word : 4 * word + 4], "little") for word in range(4)]

    def left(word, bits):
        return (word << bits | word >> (32 - bits)) & WORD

    def word():
        s0, s1, s2, s3 = state
        mixed2, mixed3 = s2 ^ s0, s3 ^ s1
        state[:] = s0 ^ mixed3, s1 ^ mixed2, mixed2 ^ (s1 << 9 & WORD), left(mixed3, 11)
        return left(s1 * 5 & WORD, 7) * 9 & WORD

    while True:
        yield word()


def own_rng(*keys):
    """Yields floats in [0, 1) with 53 random bits."""
    words = own_words(*keys)
    while True:
        high = next(words) >> 5
        yield (high * 2**26 + (next(words) >> 6)) / 2**53
