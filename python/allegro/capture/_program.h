/* A filter as a flat program over the key of a packet, as allegro/filters/program.py writes it (the format is told there). */
#ifndef ALLEGRO_PROGRAM_H
#define ALLEGRO_PROGRAM_H

#include "_key.h"
#include "_summary.h"

#define MOST_TESTS 4096u
#define ACCEPT 0xffffu
#define REJECT 0xfffeu

enum operation {
    OPERATION_YES,             /* goes on */
    OPERATION_NUMBER,          /* is a number of the key in one of the ranges? */
    OPERATION_SOURCE,          /* does the source address lie in one of the networks? */
    OPERATION_DESTINATION,     /* the destination? */
    OPERATION_SOURCE_MAC,      /* does the MAC address begin so, or is it this one? */
    OPERATION_DESTINATION_MAC,
    OPERATION_BPF,
};

struct test {
    uint8_t operation;
    uint8_t field;     /* of OPERATION_NUMBER; of the addresses their version */
    uint16_t count;    /* constants from `offset` on, of the kind that the operation has */
    uint16_t yes, no;  /* number of the test to go on with; ACCEPT or REJECT */
    uint32_t offset;
};

struct range {
    uint32_t low, high; /* both included */
};

struct program {
    const uint8_t *tests;
    const uint8_t *constants;
    size_t count; /* of tests */
};

static inline struct test test_at(const struct program *program, size_t number)
{
    struct test test;

    memcpy(&test, program->tests + number * sizeof test, sizeof test);
    return test;
}

/* Look through a program before it is run. Answers with what is wrong, NULL if nothing is: then running it ends, and reads
 * nothing but itself. `program` goes on pointing into `bytes`. */
const char *open_program(const uint8_t *bytes, size_t length, struct program *program);

/* Whether a packet matches. */
int run_program(const struct program *program, const struct key *key, const struct frame *frame);

/* The parts of a record, a bit each, in which a packet may match, of which no more than its summary is known. */
uint32_t may_match(const struct program *program, const struct summary *summary);

#endif
