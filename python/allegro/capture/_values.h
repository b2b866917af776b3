/* The values of a record's packets while its summary is made: what collecting them (_summary.c) and writing them down
 * (_summary_writing.c) share. */
#ifndef ALLEGRO_VALUES_H
#define ALLEGRO_VALUES_H

#include "_summary.h"

#define VALUE_BITS 48 /* of a slot: value, and class (from 1) above; in those above these the parts that have it, a bit each */
#define VALUE_MASK ((UINT64_C(1) << VALUE_BITS) - 1)

struct set { /* a hash table; a slot is 0, or as above */
    uint64_t *slots;
    uint32_t slot_count, most_slots, used;
    uint32_t count[CLASSES]; /* values */
    uint32_t pairs[CLASSES]; /* of a value and a part that has it */
    uint32_t unknown; /* a bit for each class that did not fit */
    uint64_t part; /* bit of the one that is being looked at */
    uint64_t last[CLASSES][2]; /* of sender and receiver: packets in a row have much in common */
    uint32_t parts;
    uint32_t begin[MOST_PARTS + 1]; /* of the first packet of each part; where the last part ends */
    uint32_t packets[MOST_PARTS];
};

static inline uint64_t mixed(uint64_t value) /* the finalizer of MurmurHash3 (public domain) */
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdu;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53u;
    return value ^ value >> 33;
}

static inline uint64_t tagged(enum class class, uint32_t value)
{
    return (uint64_t)(class + 1) << 32 | value;
}

/* Write the set down in at most `room` bytes, `length` of them; the caller frees them. NULL if nothing can be told in so few,
 * or without memory. The slots are used up. */
uint8_t *write_summary(struct set *set, size_t room, size_t *length);

#endif
