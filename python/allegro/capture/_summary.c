/* Collects what a record's summary tells: the distinct values of its packets' keys, and in which parts of the block they are.
 * How that is written down: _summary_writing.c.
 */
#include "_conversation.h"
#include "_values.h"

#include <stdlib.h>

#define MOST_SLOTS (1u << 15)
#define FEWEST_SLOTS 64u
#define FIRST_SLOTS 2048u /* of blocks with few values, as most are: they stay in the processor's cache */
#define SLOTS_PER_PACKET 16u
#define MOST_PASSED 256u /* slots: whoever chooses values that fall into the same ones costs no more time */
#define UNDIVIDED (1u << 16) /* a block of no more bytes is one part: it is read at one go with its neighbours */
#define SMALLEST_PART (1u << 14)
#define PAGE 4096u

uint32_t hash_of_ipv6(const uint8_t *address)
{
    uint64_t half[2];

    memcpy(half, address, sizeof half);
    return (uint32_t)mixed(half[0] ^ mixed(half[1]));
}

uint32_t hash_of_mac(const uint8_t *address)
{
    uint64_t whole = 0;

    memcpy(&whole, address, MAC_LENGTH);
    return (uint32_t)mixed(whole);
}

/* Where a value lies or may be put; NULL if too many others lie before. */
static uint64_t *slot_for(uint64_t *slots, uint32_t slot_count, uint64_t wanted)
{
    uint32_t place = (uint32_t)(wanted * 0x9e3779b97f4a7c15u >> 40) & (slot_count - 1);

    for (uint32_t passed = 0; passed <= MOST_PASSED; passed++) {
        if (slots[place] == 0 || (slots[place] & VALUE_MASK) == wanted)
            return &slots[place];
        place = (place + 1) & (slot_count - 1);
    }
    return NULL;
}

/* Make room for the most values. If that cannot be done, all stays as it is, and is the most. */
static void grow(struct set *set)
{
    uint64_t *slots = calloc(set->most_slots, sizeof *slots);

    for (uint32_t place = 0; slots != NULL && place < set->slot_count; place++)
        if (set->slots[place] != 0) {
            uint64_t *slot = slot_for(slots, set->most_slots, set->slots[place] & VALUE_MASK);

            if (slot != NULL) {
                *slot = set->slots[place];
            } else {
                free(slots);
                slots = NULL;
            }
        }
    if (slots == NULL) {
        set->most_slots = set->slot_count;
        return;
    }
    free(set->slots);
    set->slots = slots;
    set->slot_count = set->most_slots;
}

static void add(struct set *set, enum class class, int side, uint32_t value)
{
    uint64_t wanted = tagged(class, value), here = wanted | set->part, *slot;

    if (set->last[class][side] == here)
        return;
    set->last[class][side] = here;
    for (;;) {
        uint32_t most = set->slot_count == set->most_slots ? set->slot_count / 4 * 3 : set->slot_count / 2;

        slot = slot_for(set->slots, set->slot_count, wanted);
        if (slot != NULL && *slot != 0) {
            if ((*slot & set->part) == 0) {
                *slot |= set->part;
                set->pairs[class]++;
            }
            return;
        }
        if (slot != NULL && set->used < most)
            break;
        if (set->slot_count == set->most_slots) {
            set->unknown |= 1u << class;
            return;
        }
        grow(set);
    }
    *slot = here;
    set->used++;
    set->count[class]++;
    set->pairs[class]++;
}

static uint32_t ipv4_of(const uint8_t *address)
{
    return (uint32_t)read_u16(address) << 16 | read_u16(address + 2);
}

static void add_numbers(struct set *set, const struct key *key)
{
    static const struct {
        enum field field;
        enum class class;
        int side;
    } numbers[] = {
        {FIELD_SOURCE_PORT, CLASS_PORT, 0}, {FIELD_DESTINATION_PORT, CLASS_PORT, 1},
        {FIELD_OUTER_VLAN, CLASS_VLAN, 0},  {FIELD_INNER_VLAN, CLASS_VLAN, 1},
        {FIELD_PROTOCOL, CLASS_PROTOCOL, 0}, {FIELD_VNI, CLASS_VNI, 0},
    };

    for (size_t place = 0; place < sizeof numbers / sizeof *numbers; place++)
        if (key->present >> numbers[place].field & 1)
            add(set, numbers[place].class, numbers[place].side, key->value[numbers[place].field]);
    for (uint32_t place = 0; place < key->labels; place++)
        add(set, CLASS_LABEL, 0, key->label[place]);
}

static void add_key(struct set *set, const struct key *key)
{
    if (key->has_macs) {
        add(set, CLASS_MAC, 0, hash_of_mac(key->source_mac));
        add(set, CLASS_MAC, 1, hash_of_mac(key->destination_mac));
    }
    if (key->present >> FIELD_IP_VERSION & 1) {
        if (key->value[FIELD_IP_VERSION] == 4) {
            add(set, CLASS_IPV4, 0, ipv4_of(key->source));
            add(set, CLASS_IPV4, 1, ipv4_of(key->destination));
        } else {
            add(set, CLASS_IPV6, 0, hash_of_ipv6(key->source));
            add(set, CLASS_IPV6, 1, hash_of_ipv6(key->destination));
        }
    }
    add_numbers(set, key);
}

static uint32_t size_of_part(uint32_t length)
{
    uint32_t size = length / MOST_PARTS / PAGE * PAGE + PAGE; /* more than a MOST_PARTS-th */

    return length <= UNDIVIDED ? length : size < SMALLEST_PART ? SMALLEST_PART : size;
}

/* Whether the block is whole and all its packets' values are in the set, but those of unknown classes. */
static int collect(const uint8_t *block, const struct tpacket_hdr_v1 *description, struct set *set)
{
    size_t offset = description->offset_to_first_pkt, size = size_of_part(description->blk_len), end = size;
    struct conversations conversations;
    uint32_t part = 0;

    remember_none(&conversations, description->num_pkts);
    set->parts = size ? (uint32_t)((description->blk_len + size - 1) / size) : 1;
    set->begin[0] = description->offset_to_first_pkt;
    set->part = UINT64_C(1) << VALUE_BITS;
    for (uint32_t left = description->num_pkts; left > 0; left--) {
        struct packet packet;
        const uint8_t *bytes;
        size_t ahead;

        if (load_packet(block, description->blk_len, offset, &packet) != NULL)
            return 0;
        if ((packet.header.tp_next_offset == 0) != (left == 1))
            return 0;
        /* If those between are as large as this one; a packet takes less time here than elsewhere. */
        ahead = offset + (size_t)4 * PACKETS_AHEAD * packet.header.tp_next_offset;
        prefetch_packet(block, description->blk_len, ahead, 2);
        for (; offset >= end; end += size) { /* a packet belongs to the part in which its header is */
            set->begin[++part] = (uint32_t)offset;
            set->part <<= 1;
        }
        set->packets[part]++;
        bytes = block + offset + packet.header.tp_mac;
        if (!had_already(&conversations, &packet, bytes, part)) {
            struct frame frame = frame_of(&packet, bytes);
            struct key key;

            read_key(&frame, &key);
            add_key(set, &key);
        }
        offset += packet.header.tp_next_offset;
    }
    while (part < set->parts)
        set->begin[++part] = description->blk_len;
    return 1;
}

static const char *open_block(const uint8_t *block, size_t size, struct tpacket_hdr_v1 *description)
{
    struct tpacket_block_desc whole;

    if (size < sizeof whole)
        return "the block is shorter than its description";
    memcpy(&whole, block, sizeof whole);
    *description = whole.hdr.bh1;
    return description->blk_len > size ? "the block is cut off" : NULL;
}

uint8_t *summary_of(const uint8_t *block, size_t size, size_t room, size_t *length)
{
    struct tpacket_hdr_v1 description;
    struct set set = {0};
    uint8_t *bytes = NULL;

    *length = 0;
    if (open_block(block, size, &description) != NULL || room == 0)
        return NULL;
    set.most_slots = FEWEST_SLOTS;
    while (set.most_slots < MOST_SLOTS && set.most_slots / SLOTS_PER_PACKET < description.num_pkts)
        set.most_slots *= 2;
    set.slot_count = set.most_slots < FIRST_SLOTS ? set.most_slots : FIRST_SLOTS;
    set.slots = calloc(set.slot_count, sizeof *set.slots);
    if (set.slots != NULL && collect(block, &description, &set))
        bytes = write_summary(&set, room, length);
    free(set.slots);
    return bytes;
}
