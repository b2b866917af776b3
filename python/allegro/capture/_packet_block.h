/* A packet as it stands in a file.
 *
 * Layouts: draft-ietf-opsawg-pcapng, section 4.3 (Enhanced Packet Block); draft-ietf-opsawg-pcap, section 5 (Packet Record).
 */
#ifndef ALLEGRO_PACKET_BLOCK_H
#define ALLEGRO_PACKET_BLOCK_H

#include "_block.h"

#define EPB_CAPTURED 20u /* offset of the captured length */
#define EPB_HEADER 28u
#define EPB_OVERHEAD (EPB_HEADER + 4u)

static inline uint32_t get_u32(const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof value);
    return value;
}

/* Write one Enhanced Packet Block, with the VLAN tag that the kernel took out put back.
 * Returns its length; 0 if it does not fit into `room`, and then nothing is written. */
size_t put_packet(uint8_t *to, size_t room, uint64_t time_ns, const struct frame *frame, uint32_t interface);

/* Leave of the packet in an Enhanced Packet Block its first `most` bytes; the length on the wire stays. Returns the
 * length of the block. */
uint32_t cut_packet(uint8_t *to, uint32_t most);

/* Make of an Enhanced Packet Block the record of a pcap file with nanoseconds; returns its length. */
uint32_t make_record(uint8_t *to);

#endif
