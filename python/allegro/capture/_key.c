/* Reads the key of a packet. Nothing in a frame is believed: every read is within what was captured.
 *
 * A header counts if its fixed part was captured whole. Formats: IEEE 802.1Q (tags); RFC 3032 (MPLS); RFC 791 (IPv4);
 * RFC 8200, section 4 (IPv6 and its extension headers), RFC 4302 (AH); RFC 7348 (VXLAN).
 */
#include "_key.h"

#include <netinet/in.h>

#define ETHERTYPE_OLD_QINQ 0x9100u /* before IEEE 802.1ad */
#define ETHERTYPE_MPLS 0x8847u
#define ETHERTYPE_MPLS_MULTICAST 0x8848u
#define BOTTOM_OF_STACK 0x100u
#define IPV6_OFFSET 0xfff8u
#define MOST_TAGS 2u
#define MOST_EXTENSIONS 8u
#define VXLAN_VALID 0x08u

struct rest { /* what is left of a frame */
    const uint8_t *at;
    size_t length;
};

static int skip(struct rest *rest, size_t length)
{
    if (length > rest->length)
        return 0;
    rest->at += length;
    rest->length -= length;
    return 1;
}

static void put(struct key *key, enum field field, uint32_t value)
{
    key->value[field] = value;
    key->present |= 1u << field;
}

static int is_vlan(uint32_t type)
{
    return type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ || type == ETHERTYPE_OLD_QINQ;
}

static void put_tag(struct key *key, uint32_t before, const uint8_t *tci)
{
    put(key, before == 0 ? FIELD_OUTER_VLAN : FIELD_INNER_VLAN, read_u16(tci) & 0xfffu);
}

static void read_transport(struct rest rest, uint32_t protocol, struct key *key)
{
    if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_SCTP) || rest.length < 4)
        return;
    put(key, FIELD_SOURCE_PORT, read_u16(rest.at));
    put(key, FIELD_DESTINATION_PORT, read_u16(rest.at + 2));
    if (protocol == IPPROTO_UDP && key->value[FIELD_DESTINATION_PORT] == VXLAN_PORT && rest.length >= 16 &&
        (rest.at[8] & VXLAN_VALID) != 0)
        put(key, FIELD_VNI, (uint32_t)rest.at[12] << 16 | (uint32_t)rest.at[13] << 8 | rest.at[14]);
}

static void read_ipv4(struct rest rest, struct key *key)
{
    uint32_t protocol;
    size_t header;
    int later;

    if (rest.length < 20 || rest.at[0] >> 4 != 4 || (rest.at[0] & 15) < 5)
        return;
    header = 4u * (rest.at[0] & 15);
    later = (read_u16(rest.at + 6) & IPV4_OFFSET) != 0;
    protocol = rest.at[9];
    put(key, FIELD_IP_VERSION, 4);
    put(key, FIELD_DSCP, rest.at[1] >> 2);
    put(key, FIELD_PROTOCOL, protocol);
    memcpy(key->source, rest.at + 12, 4);
    memcpy(key->destination, rest.at + 16, 4);
    if (!later && skip(&rest, header))
        read_transport(rest, protocol, key);
}

/* Bytes of the extension header at `at`, of which at least 8 are there; 0 if this protocol is none. */
static size_t extension_length(uint32_t protocol, const uint8_t *at)
{
    switch (protocol) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_DSTOPTS:
        return 8u * (1u + at[1]);
    case IPPROTO_AH:
        return 4u * (2u + at[1]);
    case IPPROTO_FRAGMENT:
        return 8;
    default:
        return 0;
    }
}

static void read_ipv6(struct rest rest, struct key *key)
{
    static const uint8_t nothing[8];
    uint32_t protocol, extensions = 0;

    if (rest.length < 40 || rest.at[0] >> 4 != 6)
        return;
    put(key, FIELD_IP_VERSION, 6);
    put(key, FIELD_DSCP, (read_u16(rest.at) >> 6) & 0x3fu);
    memcpy(key->source, rest.at + 8, 16);
    memcpy(key->destination, rest.at + 24, 16);
    protocol = rest.at[6];
    skip(&rest, 40);
    while (extension_length(protocol, nothing) != 0) {
        const uint8_t *extension = rest.at;
        int later;

        if (++extensions > MOST_EXTENSIONS || rest.length < 8 || !skip(&rest, extension_length(protocol, extension)))
            return;
        later = protocol == IPPROTO_FRAGMENT && (read_u16(extension + 2) & IPV6_OFFSET) != 0;
        protocol = extension[0];
        if (later) { /* what follows is no header */
            put(key, FIELD_PROTOCOL, protocol);
            return;
        }
    }
    put(key, FIELD_PROTOCOL, protocol);
    read_transport(rest, protocol, key);
}

static void read_labels(struct rest rest, struct key *key)
{
    uint32_t bottom = 0;

    while (!bottom) {
        uint32_t label;

        if (rest.length < 4 || key->labels == MOST_LABELS)
            return;
        label = (uint32_t)read_u16(rest.at) << 4 | rest.at[2] >> 4;
        bottom = read_u16(rest.at + 2) & BOTTOM_OF_STACK;
        key->label[key->labels++] = label;
        key->present |= 1u << FIELD_MPLS;
        skip(&rest, 4);
    }
    /* The stack does not say what it carries; IP is told by its version. */
    if (rest.length > 0 && rest.at[0] >> 4 == 4)
        read_ipv4(rest, key);
    else if (rest.length > 0 && rest.at[0] >> 4 == 6)
        read_ipv6(rest, key);
}

void read_key(const struct frame *frame, struct key *key)
{
    struct rest rest = {frame->bytes, frame->length};
    uint32_t type, tags = 0;

    key->present = 0;
    key->labels = 0;
    put(key, FIELD_LENGTH, frame->wire_length);
    key->has_macs = rest.length + (frame->restored ? VLAN_TAG : 0) >= MAC_ADDRESSES + 2;
    if (!key->has_macs)
        return;
    memcpy(key->destination_mac, rest.at, MAC_LENGTH);
    memcpy(key->source_mac, rest.at + MAC_LENGTH, MAC_LENGTH);
    skip(&rest, MAC_ADDRESSES);
    if (rest.length < 2)
        return;
    if (frame->restored) {
        if (!is_vlan(read_u16(frame->tag))) /* the kernel takes out no other */
            return;
        put_tag(key, tags++, frame->tag + 2);
    }
    /* A tag counts if the type behind it is there, too. */
    while (type = read_u16(rest.at), is_vlan(type)) {
        if (rest.length < VLAN_TAG + 2 || tags == MOST_TAGS)
            return;
        put_tag(key, tags++, rest.at + 2);
        skip(&rest, VLAN_TAG);
    }
    skip(&rest, 2);
    if (type == ETHERTYPE_IPV4)
        read_ipv4(rest, key);
    else if (type == ETHERTYPE_IPV6)
        read_ipv6(rest, key);
    else if (type == ETHERTYPE_MPLS || type == ETHERTYPE_MPLS_MULTICAST)
        read_labels(rest, key);
}
