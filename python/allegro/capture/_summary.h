/* What is in the packets of a record, in few bytes: it answers "none of them has this" for certain, else "maybe". */
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

struct summary {
    uint32_t exact;    /* a bit for each class of which all values are listed */
    uint32_t filtered; /* for each whose values are in the bloom filter; of the others nothing is known */
    const uint8_t *list[CLASSES];
    uint32_t count[CLASSES];
    const uint8_t *bits;
    uint32_t bit_count, probes;
};

/* Look through a summary before it is asked. Answers with what is wrong, NULL if nothing is. `summary` goes on pointing into
 * `bytes`. Without any bytes nothing is known. */
const char *open_summary(const uint8_t *bytes, size_t length, struct summary *summary);

/* Whether a packet may have a value of this class within low..high, both included. */
int may_have(const struct summary *summary, enum class class, uint32_t low, uint32_t high);

uint32_t hash_of_ipv6(const uint8_t *address);
uint32_t hash_of_mac(const uint8_t *address);

/* What the packets of a TPACKET_V3 block hold, in at most `room` bytes, `length` of them; the caller frees them. NULL if
 * nothing can be told in so few, if the block is torn or damaged, or without memory. */
uint8_t *summary_of(const uint8_t *block, size_t size, size_t room, size_t *length);

#endif
