/* Makes and reads the summary of a record: the distinct values of its packets' keys, listed or in a bloom filter.
 *
 * Layout: a header, a 16-bit count for each class that is listed, the lists (32 bits each, ascending), the bloom filter up to
 * the end; in the byte order of this machine. The filter is Bloom's (1970) with two hashes for all probes (Kirsch and
 * Mitzenmacher, 2006). What lists cost four bytes for costs the filter one or two, and about one wrong "maybe" in a hundred.
 */
#include "_summary.h"

#include <stdlib.h>

#define FORMAT 1u
#define CACHE_LINE 64u
#define MOST_SLOTS (1u << 15)
#define FEWEST_SLOTS 64u
#define SLOTS_PER_PACKET 16u
#define MOST_PASSED 256u /* slots: whoever chooses values that fall into the same ones costs no more time */
#define USUAL_BITS 10u  /* of the filter for each value */
#define FEWEST_BITS 2u  /* below, a class is left out for the others' sake */
#define MOST_PROBES 7u
#define FEW 16u         /* values, which are listed in any case */
#define MOST_ASKED 16u /* values that the filter is asked for in place of a range */

struct header {
    uint8_t format, probes;
    uint16_t exact, filtered, reserved;
};

/* --- the set of values -------------------------------------------------------------------------------------------- */

struct set { /* a hash table; a slot is 0, or a value with its class (from 1) above */
    uint64_t *slots;
    uint32_t slot_count, used;
    uint32_t count[CLASSES];
    uint32_t unknown; /* a bit for each class that did not fit */
    uint64_t last[CLASSES][2]; /* of sender and receiver: packets in a row have much in common */
};

static uint64_t mixed(uint64_t value) /* the finalizer of MurmurHash3 (public domain) */
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdu;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53u;
    return value ^ value >> 33;
}

static uint64_t tagged(enum class class, uint32_t value)
{
    return (uint64_t)(class + 1) << 32 | value;
}

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

static void add(struct set *set, enum class class, int side, uint32_t value)
{
    uint64_t wanted = tagged(class, value);
    uint32_t place = (uint32_t)(wanted * 0x9e3779b97f4a7c15u >> 40) & (set->slot_count - 1), passed = 0;

    if (set->last[class][side] == wanted)
        return;
    set->last[class][side] = wanted;
    while (set->slots[place] != 0 && set->slots[place] != wanted && passed < MOST_PASSED) {
        place = (place + 1) & (set->slot_count - 1);
        passed++;
    }
    if (set->slots[place] == wanted)
        return;
    if (set->slots[place] != 0 || set->used >= set->slot_count / 4 * 3) {
        set->unknown |= 1u << class;
        return;
    }
    set->slots[place] = wanted;
    set->used++;
    set->count[class]++;
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

/* Whether the block is whole and all its packets' values are in the set, but those of unknown classes. */
static int collect(const uint8_t *block, const struct tpacket_hdr_v1 *description, struct set *set)
{
    size_t offset = description->offset_to_first_pkt;

    for (uint32_t left = description->num_pkts; left > 0; left--) {
        struct packet packet;
        struct frame frame;
        struct key key;

        if (load_packet(block, description->blk_len, offset, &packet) != NULL)
            return 0;
        if ((packet.header.tp_next_offset == 0) != (left == 1))
            return 0;
        if (packet.header.tp_next_offset < description->blk_len - offset) { /* its header, and what is most of its frame's */
            __builtin_prefetch(block + offset + packet.header.tp_next_offset);
            __builtin_prefetch(block + offset + packet.header.tp_next_offset + CACHE_LINE);
        }
        frame = frame_of(&packet, block + offset + packet.header.tp_mac);
        read_key(&frame, &key);
        add_key(set, &key);
        offset += packet.header.tp_next_offset;
    }
    return 1;
}

/* --- what becomes of it ------------------------------------------------------------------------------------------- */

struct plan { /* which class is kept how */
    uint32_t exact, filtered;
    uint32_t listed, other; /* values in lists, and in the filter */
    size_t filter_size;
};

static size_t size_before_filter(const struct plan *plan)
{
    size_t classes = 0;

    for (uint32_t class = 0; class < CLASSES; class++)
        classes += plan->exact >> class & 1;
    return sizeof(struct header) + classes * sizeof(uint16_t) + plan->listed * sizeof(uint32_t);
}

/* Lists for as many classes as there is room for, beginning with those of few values, a filter for the others. */
static struct plan plan_of(const struct set *set, size_t room)
{
    struct plan plan = {0, 0, 0, 0, 0};
    uint32_t left = ~set->unknown & ((1u << CLASSES) - 1);

    for (uint32_t class = 0; class < CLASSES; class++)
        if (left >> class & 1)
            plan.other += set->count[class];
    plan.filtered = left;
    while (left != 0) {
        struct plan next = plan;
        uint32_t fewest = CLASSES;
        size_t size;

        for (uint32_t class = 0; class < CLASSES; class++)
            if ((left >> class & 1) && (fewest == CLASSES || set->count[class] < set->count[fewest]))
                fewest = class;
        left &= ~(1u << fewest);
        next.exact |= 1u << fewest;
        next.filtered &= ~(1u << fewest);
        next.listed += set->count[fewest];
        next.other -= set->count[fewest];
        size = size_before_filter(&next) + (set->count[fewest] > FEW ? next.other * USUAL_BITS / 8 : 0);
        if (set->count[fewest] > UINT16_MAX || size > room)
            break;
        plan = next;
    }
    for (;;) {
        uint32_t most = CLASSES;
        size_t before = size_before_filter(&plan), usual = (plan.other * USUAL_BITS + 7) / 8;

        plan.filter_size = before < room ? room - before : 0;
        if (plan.filter_size > usual)
            plan.filter_size = usual;
        for (uint32_t class = 0; class < CLASSES; class++)
            if ((plan.filtered >> class & 1) && (most == CLASSES || set->count[class] > set->count[most]))
                most = class;
        if (most == CLASSES || plan.filter_size * 8 >= (size_t)plan.other * FEWEST_BITS)
            return plan;
        plan.filtered &= ~(1u << most);
        plan.other -= set->count[most];
    }
}

static int compare_values(const void *left, const void *right)
{
    uint32_t a, b;

    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

static uint32_t probes_for(const struct plan *plan)
{
    uint32_t best = plan->other ? (uint32_t)(plan->filter_size * 8 * 69 / 100 / plan->other) : 1; /* ln 2 */

    return best < 1 ? 1 : best > MOST_PROBES ? MOST_PROBES : best;
}

static uint32_t probed(uint64_t hash, uint32_t number, uint32_t bit_count)
{
    uint32_t place = (uint32_t)hash + number * ((uint32_t)(hash >> 32) | 1u);

    return (uint32_t)((uint64_t)place * bit_count >> 32);
}

static void write_summary(const struct set *set, const struct plan *plan, uint8_t *to)
{
    struct header header = {FORMAT, (uint8_t)probes_for(plan), (uint16_t)plan->exact, (uint16_t)plan->filtered, 0};
    uint32_t bit_count = (uint32_t)plan->filter_size * 8;
    uint8_t *list[CLASSES] = {NULL}, *end[CLASSES] = {NULL};

    memcpy(to, &header, sizeof header);
    to += sizeof header;
    for (uint32_t class = 0; class < CLASSES; class++)
        if (plan->exact >> class & 1) {
            uint16_t count = (uint16_t)set->count[class];

            memcpy(to, &count, sizeof count);
            to += sizeof count;
        }
    for (uint32_t class = 0; class < CLASSES; class++)
        if (plan->exact >> class & 1) {
            list[class] = end[class] = to;
            to += set->count[class] * sizeof(uint32_t);
        }
    memset(to, 0, plan->filter_size);
    for (uint32_t place = 0; place < set->slot_count; place++) {
        uint64_t slot = set->slots[place];
        uint32_t class = (uint32_t)(slot >> 32) - 1, value = (uint32_t)slot;

        if (slot == 0)
            continue;
        if (plan->exact >> class & 1) {
            memcpy(end[class], &value, sizeof value);
            end[class] += sizeof value;
        } else if (plan->filtered >> class & 1) {
            uint64_t hash = mixed(slot);

            for (uint32_t number = 0; number < header.probes; number++) {
                uint32_t bit = probed(hash, number, bit_count);

                to[bit / 8] |= (uint8_t)(1u << bit % 8);
            }
        }
    }
    for (uint32_t class = 0; class < CLASSES; class++)
        if (list[class] != end[class])
            qsort(list[class], set->count[class], sizeof(uint32_t), compare_values);
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
    set.slot_count = FEWEST_SLOTS;
    while (set.slot_count < MOST_SLOTS && set.slot_count / SLOTS_PER_PACKET < description.num_pkts)
        set.slot_count *= 2;
    set.slots = calloc(set.slot_count, sizeof *set.slots);
    if (set.slots != NULL && collect(block, &description, &set)) {
        struct plan plan = plan_of(&set, room);
        size_t needed = size_before_filter(&plan) + plan.filter_size;

        if ((plan.exact | plan.filtered) != 0 && needed <= room)
            bytes = malloc(needed);
        if (bytes != NULL) {
            write_summary(&set, &plan, bytes);
            *length = needed;
        }
    }
    free(set.slots);
    return bytes;
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

const char *open_summary(const uint8_t *bytes, size_t length, struct summary *summary)
{
    struct header header;
    size_t values = 0;

    memset(summary, 0, sizeof *summary);
    if (length == 0)
        return NULL;
    if (length < sizeof header)
        return "a summary is cut off";
    memcpy(&header, bytes, sizeof header);
    bytes += sizeof header;
    length -= sizeof header;
    if (header.format != FORMAT || (header.exact | header.filtered) >> CLASSES || (header.exact & header.filtered))
        return "this is no summary, or one of another version";
    for (uint32_t class = 0; class < CLASSES; class++)
        if (header.exact >> class & 1) {
            uint16_t count;

            if (length < sizeof count)
                return "a summary is cut off";
            memcpy(&count, bytes, sizeof count);
            summary->count[class] = count;
            values += count;
            bytes += sizeof count;
            length -= sizeof count;
        }
    if (length / sizeof(uint32_t) < values || length > UINT32_MAX / 8)
        return "a summary has not the length that it tells";
    for (uint32_t class = 0; class < CLASSES; class++) {
        summary->list[class] = bytes;
        bytes += summary->count[class] * sizeof(uint32_t);
    }
    length -= values * sizeof(uint32_t);
    summary->exact = header.exact;
    summary->filtered = header.filtered;
    summary->bits = bytes;
    summary->bit_count = (uint32_t)length * 8;
    summary->probes = header.probes;
    return NULL;
}

static int is_listed(const uint8_t *list, uint32_t count, uint32_t low, uint32_t high)
{
    uint32_t begin = 0, value;

    for (uint32_t end = count; begin < end;) {
        uint32_t middle = begin + (end - begin) / 2;

        memcpy(&value, list + middle * sizeof value, sizeof value);
        if (value < low)
            begin = middle + 1;
        else
            end = middle;
    }
    if (begin == count)
        return 0;
    memcpy(&value, list + begin * sizeof value, sizeof value);
    return value <= high;
}

static int is_in_filter(const struct summary *summary, enum class class, uint32_t value)
{
    uint64_t hash = mixed(tagged(class, value));

    for (uint32_t number = 0; number < summary->probes; number++) {
        uint32_t bit = probed(hash, number, summary->bit_count);

        if ((summary->bits[bit / 8] >> bit % 8 & 1) == 0)
            return 0;
    }
    return 1;
}

int may_have(const struct summary *summary, enum class class, uint32_t low, uint32_t high)
{
    if (summary->exact >> class & 1)
        return is_listed(summary->list[class], summary->count[class], low, high);
    if (!(summary->filtered >> class & 1) || summary->bit_count == 0 || high - low >= MOST_ASKED)
        return low <= high;
    for (uint32_t number = 0; number <= high - low; number++)
        if (is_in_filter(summary, class, low + number))
            return 1;
    return 0;
}
