/* The form in which a summary is written down, for those who write (_summary_writing.c) and read it (_summary_reading.c).
 *
 * A header; if it has parts, their number, where the first packet of each begins and where the last one ends, and how
 * many packets each has (32 bits each); a 16-bit count for each class that is listed; the lists (32 bits each, ascending), with
 * parts behind each list 16 bits for each value, one for each part that has it; the bloom filter up to the end; in the byte
 * order of this machine. The filter is Bloom's (1970) with two hashes for all probes (Kirsch and Mitzenmacher, 2006). What lists
 * cost four or six bytes for costs the filter one or two, and about one wrong "maybe" in a hundred.
 *
 * A summary has no parts, and the form that it always had, if the block is small or there is no room to tell them apart.
 */
#ifndef ALLEGRO_SUMMARY_FORM_H
#define ALLEGRO_SUMMARY_FORM_H

#include "_values.h"

#define FORMAT 1u
#define FORMAT_WITH_PARTS 2u
#define PAIR_SHIFT 40 /* of the part's number in what is hashed */

struct header {
    uint8_t format, probes;
    uint16_t exact, filtered;
    uint16_t paired; /* of those in the filter: by value and part, not by value alone; 0 without parts */
};

/* The bit of the filter that a hash has in a probe. */
static inline uint32_t probed(uint64_t hash, uint32_t number, uint32_t bit_count)
{
    uint32_t place = (uint32_t)hash + number * ((uint32_t)(hash >> 32) | 1u);

    return (uint32_t)((uint64_t)place * bit_count >> 32);
}

static inline uint64_t hash_of_pair(uint64_t value, uint32_t part)
{
    return mixed(value | (uint64_t)(part + 1) << PAIR_SHIFT);
}

#endif
