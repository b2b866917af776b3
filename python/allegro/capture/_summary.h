/* What is in the packets of a record, in few bytes: it answers "none of them has this" for certain, else "maybe". Of a large
 * record it may answer for each of its parts, which can be read alone. */
#ifndef ALLEGRO_SUMMARY_H
#define ALLEGRO_SUMMARY_H

#include "_key.h"

enum class {
    CLASS_IPV4, /* addresses of sender and receiver, as numbers */
    CLASS_IPV6, /* hashes of such */
    CLASS_MAC,  /* hashes, too */
    CLASS_PORT, /* of sender and receiver */
    CLASS_VLAN, /* outer and inner */
    CLASS_PROTOCOL,
    CLASS_LABEL, /* MPLS */
    CLASS_VNI,   /* VXLAN */
    CLASSES
};

#define MOST_PARTS 16u

struct summary {
    uint32_t parts; /* 1: it knows none */
    uint32_t begin[MOST_PARTS + 1]; /* where in the block the packets of each part begin, and those of the last one end */
    uint32_t packets[MOST_PARTS];
    uint32_t exact;    /* a bit for each class of which all values are listed */
    uint32_t filtered; /* for each whose values are in the bloom filter; of the others nothing is known */
    uint32_t paired;   /* of these, for each that is there by value and part */
    const uint8_t *list[CLASSES];
    uint32_t count[CLASSES];
    const uint8_t *bits;
    uint32_t bit_count, probes;
};

/* Look through a summary before it is asked. Answers with what is wrong, NULL if nothing is. `summary` goes on pointing into
 * `bytes`. Without any bytes nothing is known. */
const char *open_summary(const uint8_t *bytes, size_t length, struct summary *summary);

static inline uint32_t all_parts(const struct summary *summary)
{
    return (1u << summary->parts) - 1;
}

/* The parts, a bit each, in which a packet may have a value of this class within low..high, both included. */
uint32_t may_have(const struct summary *summary, enum class class, uint32_t low, uint32_t high);

uint32_t hash_of_ipv6(const uint8_t *address);
uint32_t hash_of_mac(const uint8_t *address);

/* What the packets of a TPACKET_V3 block hold, in at most `room` bytes, `length` of them; the caller frees them. NULL if
 * nothing can be told in so few, if the block is torn or damaged, or without memory. */
uint8_t *summary_of(const uint8_t *block, size_t size, size_t room, size_t *length);

#endif
