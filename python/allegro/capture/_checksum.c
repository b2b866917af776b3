/* What the network card of a virtual machine's host would have put into a frame on its way out. */
#include "_checksum.h"

#include <netinet/in.h>

#include "_block.h"

#define IPV4_FRAGMENT 0x3fffu /* more fragments, or an offset (RFC 791) */

/* Ones' complement sum of big-endian words (RFC 1071); `sum` goes on from before, which had an even length. */
static uint64_t add_words(uint64_t sum, const uint8_t *data, size_t length)
{
    for (; length > 1; data += 2, length -= 2)
        sum += read_u16(data);
    return length ? sum + ((uint64_t)*data << 8) : sum;
}

/* Where the transport header of an IPv6 packet begins (RFC 8200), after options that do not hide it; 0: nowhere. */
static size_t skip_extensions(const uint8_t *frame, size_t at, size_t end, uint8_t *protocol)
{
    while (*protocol == IPPROTO_HOPOPTS || *protocol == IPPROTO_ROUTING || *protocol == IPPROTO_DSTOPTS) {
        if (end - at < 8)
            return 0;
        *protocol = frame[at];
        if (end - at < 8u * (1u + frame[at + 1]))
            return 0;
        at += 8u * (1u + frame[at + 1]);
    }
    return at;
}

int complete_checksum(uint8_t *frame, size_t length)
{
    size_t at = MAC_ADDRESSES, end, field;
    uint8_t protocol;
    uint64_t sum;

    while (length - at >= 2 + VLAN_TAG && (read_u16(frame + at) == ETHERTYPE_VLAN || read_u16(frame + at) == ETHERTYPE_QINQ))
        at += VLAN_TAG;
    if (length - at < 2)
        return 0;
    if (read_u16(frame + at) == ETHERTYPE_IPV4) {
        size_t header, total;

        at += 2;
        if (length - at < 20 || frame[at] >> 4 != 4)
            return 0;
        header = 4u * (frame[at] & 15);
        total = read_u16(frame + at + 2);
        if (total == 0) /* a large packet that does not fit into 16 bits */
            total = length - at;
        if (header < 20 || total < header || total > length - at || (read_u16(frame + at + 6) & IPV4_FRAGMENT) != 0)
            return 0;
        protocol = frame[at + 9];
        sum = add_words(0, frame + at + 12, 8);
        end = at + total;
        at += header;
    } else if (read_u16(frame + at) == ETHERTYPE_IPV6) {
        size_t total;

        at += 2;
        if (length - at < 40 || frame[at] >> 4 != 6)
            return 0;
        total = read_u16(frame + at + 4);
        if (total == 0)
            total = length - at - 40;
        if (total > length - at - 40)
            return 0;
        protocol = frame[at + 6];
        sum = add_words(0, frame + at + 8, 32);
        end = at + 40 + total;
        at = skip_extensions(frame, at + 40, end, &protocol);
        if (at == 0)
            return 0;
    } else {
        return 0;
    }
    if (protocol == IPPROTO_TCP && end - at >= 20)
        field = at + 16;
    else if (protocol == IPPROTO_UDP && end - at >= 8)
        field = at + 6;
    else
        return 0;
    if (protocol == IPPROTO_UDP && frame[field] == 0 && frame[field + 1] == 0)
        return 0; /* no checksum here (RFC 768): that of a tunnel's inner frame is the open one */
    frame[field] = frame[field + 1] = 0;
    sum += protocol + (end - at);
    sum = add_words(sum, frame + at, end - at);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    sum = ~sum & 0xffff;
    if (sum == 0 && protocol == IPPROTO_UDP)
        sum = 0xffff; /* 0 would mean that there is none (RFC 768) */
    frame[field] = (uint8_t)(sum >> 8);
    frame[field + 1] = (uint8_t)sum;
    return 1;
}
