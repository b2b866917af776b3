/* A filter as a flat program over the key of a packet, as allegro/filters/program.py writes it (the format is told there). */
#ifndef ALLEGRO_PROGRAM_H
#define ALLEGRO_PROGRAM_H

#include "_key.h"
#include "_summary.h"

struct program {
    const uint8_t *tests;
    const uint8_t *constants;
    size_t count; /* of tests */
};

/* Look through a program before it is run. Answers with what is wrong, NULL if nothing is: then running it ends, and reads
 * nothing but itself. `program` goes on pointing into `bytes`. */
const char *open_program(const uint8_t *bytes, size_t length, struct program *program);

/* Whether a packet matches. */
int run_program(const struct program *program, const struct key *key, const struct frame *frame);

/* Whether a packet of a record may match of which no more than its summary is known. */
int may_match(const struct program *program, const struct summary *summary);

#endif
