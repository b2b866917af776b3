/* A packet in a TPACKET_V3 block, and its entry in a block's index. Included by all files of this extension. */
#ifndef ALLEGRO_BLOCK_H
#define ALLEGRO_BLOCK_H

#include <linux/if_packet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef TP_STATUS_GSO_TCP
#define TP_STATUS_GSO_TCP (1 << 8) /* since Linux 6.0 */
#endif

#define NS_PER_S 1000000000u
#define LARGEST_FRAME 0x7fffffffu /* so that no length computed from it can overflow 32 bits */
#define MAC_ADDRESSES 12u         /* destination and source: a VLAN tag stands right behind them */
#define VLAN_TAG 4u
#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu
#define ETHERTYPE_VLAN 0x8100u /* IEEE 802.1Q; the kernel means this one when it does not name the type */
#define ETHERTYPE_QINQ 0x88a8u /* IEEE 802.1ad */

#define FLAG_LARGE 1u      /* as a virtual machine's host made it: larger than the wire takes, to be segmented */
#define FLAG_UNFINISHED 2u /* the same: without its checksum */

struct entry { /* one packet of an index */
    uint64_t time_ns;
    uint32_t offset; /* of its struct tpacket3_hdr in the block */
    uint32_t flags;
};

struct packet {
    struct tpacket3_hdr header;
    uint64_t time_ns;
};

static inline uint16_t read_u16(const uint8_t *from)
{
    return (uint16_t)(from[0] << 8 | from[1]);
}

/* Read the packet header at `offset`; everything it points to lies before `limit`, which is within the buffer.
 * Answers with what is wrong, NULL if nothing is. */
static inline const char *load_packet(const uint8_t *block, size_t limit, size_t offset, struct packet *packet)
{
    struct tpacket3_hdr *header = &packet->header;

    if (offset > limit || limit - offset < sizeof *header)
        return "a packet header lies outside the block";
    memcpy(header, block + offset, sizeof *header);
    if (header->tp_nsec >= NS_PER_S)
        return "a packet has an impossible time";
    if (header->tp_snaplen > header->tp_len || header->tp_len > LARGEST_FRAME)
        return "a packet has an impossible length";
    if (header->tp_mac < sizeof *header)
        return "a packet overlaps its own header";
    if ((size_t)header->tp_mac + header->tp_snaplen > limit - offset)
        return "a packet reaches beyond the block";
    packet->time_ns = (uint64_t)header->tp_sec * NS_PER_S + header->tp_nsec;
    return NULL;
}

#define CACHE_LINE 64u
#define PACKETS_AHEAD 4u /* of the one that is looked at */

/* Let the processor fetch a packet that is soon looked at: its header, and what its frame begins with. Wherever that may be. */
static inline void prefetch_packet(const uint8_t *block, size_t limit, size_t offset, size_t lines)
{
    for (; lines > 0; lines--, offset += CACHE_LINE)
        if (offset < limit)
            __builtin_prefetch(block + offset);
}

/* A packet's frame as it was on the wire: the outer VLAN tag, which the kernel takes out, belongs behind the addresses. */
struct frame {
    const uint8_t *bytes; /* without that tag */
    uint32_t length;      /* of `bytes` */
    uint32_t wire_length; /* tag counted, also where it cannot be put back; without frame check sequence */
    int restored;         /* `tag` is to be put back */
    uint8_t tag[VLAN_TAG];
};

static inline struct frame frame_of(const struct packet *packet, const uint8_t *bytes)
{
    const struct tpacket3_hdr *header = &packet->header;
    int tagged = (header->tp_status & TP_STATUS_VLAN_VALID) != 0;
    struct frame frame = {bytes, header->tp_snaplen, header->tp_len + (tagged ? VLAN_TAG : 0), 0, {0}};

    /* A frame cut short by slicing within the addresses has no place for the tag. */
    if (tagged && header->tp_snaplen >= MAC_ADDRESSES) {
        uint32_t type = header->tp_status & TP_STATUS_VLAN_TPID_VALID ? header->hv1.tp_vlan_tpid : ETHERTYPE_VLAN;
        uint32_t tci = header->hv1.tp_vlan_tci;

        frame.restored = 1;
        frame.tag[0] = (uint8_t)(type >> 8);
        frame.tag[1] = (uint8_t)type;
        frame.tag[2] = (uint8_t)(tci >> 8);
        frame.tag[3] = (uint8_t)tci;
    }
    return frame;
}

#endif
