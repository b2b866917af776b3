/* Packets written, shortened and put into another form: no more than moves of bytes. */
#include "_packet_block.h"

#define EPB_TYPE 6u
#define EPB_TIME 12u
#define RECORD_HEADER 16u /* of a packet in a pcap file */

static uint8_t *put_u32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

static uint8_t *put_bytes(uint8_t *to, const uint8_t *from, size_t length)
{
    memcpy(to, from, length);
    return to + length;
}

size_t put_packet(uint8_t *to, size_t room, uint64_t time_ns, const struct frame *frame, uint32_t interface)
{
    uint32_t captured = frame->length + (frame->restored ? VLAN_TAG : 0);
    uint32_t padding = (4u - captured % 4u) % 4u;
    uint32_t length = EPB_OVERHEAD + captured + padding;

    if (length > room)
        return 0;
    to = put_u32(to, EPB_TYPE);
    to = put_u32(to, length);
    to = put_u32(to, interface);
    to = put_u32(to, (uint32_t)(time_ns >> 32));
    to = put_u32(to, (uint32_t)time_ns);
    to = put_u32(to, captured);
    to = put_u32(to, frame->wire_length);
    if (frame->restored) {
        to = put_bytes(to, frame->bytes, MAC_ADDRESSES);
        to = put_bytes(to, frame->tag, VLAN_TAG);
        to = put_bytes(to, frame->bytes + MAC_ADDRESSES, frame->length - MAC_ADDRESSES);
    } else {
        to = put_bytes(to, frame->bytes, frame->length);
    }
    memset(to, 0, padding);
    put_u32(to + padding, length);
    return length;
}

uint32_t cut_packet(uint8_t *to, uint32_t most)
{
    uint32_t padding = (4u - most % 4u) % 4u, length = EPB_OVERHEAD + most + padding;

    put_u32(to + 4, length);
    put_u32(to + EPB_CAPTURED, most);
    memset(to + EPB_HEADER + most, 0, padding);
    put_u32(to + EPB_HEADER + most + padding, length);
    return length;
}

uint32_t make_record(uint8_t *to)
{
    uint64_t time_ns = (uint64_t)get_u32(to + EPB_TIME) << 32 | get_u32(to + EPB_TIME + 4);
    uint32_t captured = get_u32(to + EPB_CAPTURED), wire_length = get_u32(to + EPB_CAPTURED + 4);

    put_u32(to, (uint32_t)(time_ns / NS_PER_S));
    put_u32(to + 4, (uint32_t)(time_ns % NS_PER_S));
    put_u32(to + 8, captured);
    put_u32(to + 12, wire_length);
    memmove(to + RECORD_HEADER, to + EPB_HEADER, captured);
    return RECORD_HEADER + captured;
}
