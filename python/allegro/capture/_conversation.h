/* Conversations that a block has had already: nothing new comes of their further packets for its summary. */
#ifndef ALLEGRO_CONVERSATION_H
#define ALLEGRO_CONVERSATION_H

#include "_key.h"

#include <netinet/in.h>

#define MOST_ALIKE 2048u /* conversations that are remembered */
#define FEWEST_ALIKE 16u
#define PACKETS_PER_ALIKE 4u
#define PLAIN_IPV4 0x45u  /* version, and a header without options */
#define PLAIN_HEADERS 38u /* bytes: Ethernet, such a header, ports */

struct conversation { /* all that a summary takes from a packet of the usual kind; `ports` is 0 if it is none */
    uint64_t macs, macs_and_type, addresses, ports;
};

struct conversations {
    struct conversation known[MOST_ALIKE]; /* each at the place that its hash gives, the newest that was there */
    uint32_t count;
};

static inline void remember_none(struct conversations *all, uint32_t packets)
{
    all->count = FEWEST_ALIKE;
    while (all->count < MOST_ALIKE && all->count * PACKETS_PER_ALIKE < packets)
        all->count *= 2;
    memset(all->known, 0, all->count * sizeof *all->known);
}

/* Most packets are TCP or UDP in plain IPv4: what the key of such a one has for a summary stands at fixed places. */
static inline struct conversation conversation_of(const struct packet *packet, const uint8_t *frame)
{
    struct conversation found = {0, 0, 0, 0};
    uint32_t ports;

    if ((packet->header.tp_status & TP_STATUS_VLAN_VALID) != 0 || packet->header.tp_snaplen < PLAIN_HEADERS ||
        read_u16(frame + 12) != ETHERTYPE_IPV4 || frame[14] != PLAIN_IPV4 || (read_u16(frame + 20) & IPV4_OFFSET) != 0 ||
        (frame[23] != IPPROTO_TCP && (frame[23] != IPPROTO_UDP || read_u16(frame + 36) == VXLAN_PORT)))
        return found;
    memcpy(&found.macs, frame, sizeof found.macs);
    memcpy(&found.macs_and_type, frame + 8, 7); /* without the byte of DSCP */
    memcpy(&found.addresses, frame + 26, sizeof found.addresses);
    memcpy(&ports, frame + 34, sizeof ports);
    found.ports = (uint64_t)frame[23] << 32 | ports;
    return found;
}

/* Whether the block has had such a packet in this part of it; it has from now on. */
static inline int had_already(struct conversations *all, const struct packet *packet, const uint8_t *frame, uint32_t part)
{
    struct conversation wanted = conversation_of(packet, frame), *there;
    uint64_t hash;

    if (wanted.ports == 0)
        return 0;
    wanted.ports |= (uint64_t)part << 40;
    hash = (wanted.addresses ^ (wanted.ports + wanted.macs) * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    there = &all->known[(uint32_t)(hash >> 40) & (all->count - 1)];
    if (((there->macs ^ wanted.macs) | (there->macs_and_type ^ wanted.macs_and_type) | (there->addresses ^ wanted.addresses) |
         (there->ports ^ wanted.ports)) == 0)
        return 1;
    *there = wanted;
    return 0;
}

#endif
