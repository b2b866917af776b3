/* Which of many filters may let a packet through, by the values that they need: only these have to be run. */
#ifndef ALLEGRO_LOOKUP_H
#define ALLEGRO_LOOKUP_H

#include "_program.h"

struct lookup;

/* Learn what `count` checked programs need. They are read here, and not any more afterwards. NULL: no memory. */
struct lookup *make_lookup(const struct program *programs, size_t count);

void free_lookup(struct lookup *lookup);

/* 64-bit words of a set of programs. */
size_t set_words(const struct lookup *lookup);

/* Write the set of the programs that may match into `set`, a bit for each, the lowest bits first. All others do not. */
void look_up(const struct lookup *lookup, const struct key *key, uint64_t *set);

#endif
