/* The key of a packet: what filters ask for, read once. allegro/filters/key.py says what each field is. */
#ifndef ALLEGRO_KEY_H
#define ALLEGRO_KEY_H

#include "_block.h"

/* Fields with a number. allegro/filters/program.py has the same list in the same order. */
enum field {
    FIELD_LENGTH,     /* bytes on the wire */
    FIELD_OUTER_VLAN, /* id of the first tag */
    FIELD_INNER_VLAN, /* of the second */
    FIELD_MPLS,       /* any label, see `label` */
    FIELD_IP_VERSION, /* 4 or 6 */
    FIELD_DSCP,
    FIELD_PROTOCOL, /* of layer 4 */
    FIELD_SOURCE_PORT,
    FIELD_DESTINATION_PORT,
    FIELD_VNI, /* VXLAN */
    FIELDS
};

#define MOST_LABELS 8u
#define MAC_LENGTH 6u
#define IPV4_OFFSET 0x1fffu
#define VXLAN_PORT 4789u

struct key {
    uint32_t present; /* a bit for each enum field */
    uint32_t value[FIELDS];
    uint32_t label[MOST_LABELS];
    uint32_t labels;
    int has_macs;
    uint8_t source_mac[MAC_LENGTH], destination_mac[MAC_LENGTH];
    uint8_t source[16], destination[16]; /* IP addresses: 4 or 16 bytes, by FIELD_IP_VERSION */
};

/* Read the key of a frame, of which any part may be missing at the end. */
void read_key(const struct frame *frame, struct key *key);

#endif
