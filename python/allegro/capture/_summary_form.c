/* How a summary is written down, and what it answers.
 *
 * Layout: a header; if it has parts, their number, where the first packet of each begins and where the last one ends, and how
 * many packets each has (32 bits each); a 16-bit count for each class that is listed; the lists (32 bits each, ascending), with
 * parts behind each list 16 bits for each value, one for each part that has it; the bloom filter up to the end; in the byte
 * order of this machine. The filter is Bloom's (1970) with two hashes for all probes (Kirsch and Mitzenmacher, 2006). What lists
 * cost four or six bytes for costs the filter one or two, and about one wrong "maybe" in a hundred.
 *
 * A summary has no parts, and the form that it always had, if the block is small or there is no room to tell them apart.
 */
#include "_values.h"

#include <stdlib.h>

#define FORMAT 1u
#define FORMAT_WITH_PARTS 2u
#define USUAL_BITS 10u /* of the filter for each value */
#define PAIR_BITS 14u  /* for each pair of value and part, which is asked for part by part */
#define FEWEST_BITS 2u /* below, a class is left out for the others' sake */
#define MOST_PROBES 7u
#define FEW 16u        /* values, which are listed in any case */
#define MOST_ASKED 16u /* values that the filter is asked for in place of a range */
#define PAIR_SHIFT 40  /* of the part's number in what is hashed */

struct header {
    uint8_t format, probes;
    uint16_t exact, filtered;
    uint16_t paired; /* of those in the filter: by value and part, not by value alone; 0 without parts */
};

/* --- writing ------------------------------------------------------------------------------------------------------ */

struct plan { /* which class is kept how */
    uint32_t parts;
    uint32_t exact, filtered, paired;
    uint32_t listed;    /* values in lists */
    size_t filter_size;
};

static size_t size_before_filter(const struct plan *plan)
{
    size_t lists = (size_t)__builtin_popcount(plan->exact), parts = plan->parts;

    if (parts == 1)
        return sizeof(struct header) + lists * sizeof(uint16_t) + plan->listed * sizeof(uint32_t);
    return sizeof(struct header) + (2 + 2 * parts) * sizeof(uint32_t) + lists * sizeof(uint16_t) +
           plan->listed * (sizeof(uint32_t) + sizeof(uint16_t));
}

/* What is put into the filter, each times `of_value` or `of_pair`. */
static size_t in_filter(const struct set *set, const struct plan *plan, size_t of_value, size_t of_pair)
{
    size_t sum = 0;

    for (uint32_t class = 0; class < CLASSES; class++)
        if (plan->filtered >> class & 1)
            sum += plan->paired >> class & 1 ? set->pairs[class] * of_pair : set->count[class] * of_value;
    return sum;
}

static size_t usual_size(const struct set *set, const struct plan *plan)
{
    return (in_filter(set, plan, USUAL_BITS, PAIR_BITS) + 7) / 8;
}

/* Of these classes the one with the fewest values, or the most; CLASSES if there is none. */
static uint32_t extreme(const uint32_t *count, uint32_t classes, int most)
{
    uint32_t found = CLASSES;

    for (uint32_t class = 0; class < CLASSES; class++)
        if ((classes >> class & 1) &&
            (found == CLASSES || (most ? count[class] > count[found] : count[class] < count[found])))
            found = class;
    return found;
}

/* Lists for as many classes as there is room for, beginning with those of few values, a filter for the others. */
static struct plan with_lists(const struct set *set, size_t room, uint32_t parts)
{
    uint32_t left = ~set->unknown & ((1u << CLASSES) - 1);
    struct plan plan = {.parts = parts, .filtered = left, .paired = parts > 1 ? left : 0};

    while (left != 0) {
        struct plan next = plan;
        uint32_t fewest = extreme(set->count, left, 0);

        left &= ~(1u << fewest);
        next.exact |= 1u << fewest;
        next.filtered &= ~(1u << fewest);
        next.paired &= ~(1u << fewest);
        next.listed += set->count[fewest];
        if (set->count[fewest] > UINT16_MAX ||
            size_before_filter(&next) + (set->count[fewest] > FEW ? usual_size(set, &next) : 0) > room)
            break;
        plan = next;
    }
    return plan;
}

/* Whether there is room for parts, if only for some of the classes in the filter. */
static int plan_parts(const struct set *set, size_t room, struct plan *plan)
{
    *plan = with_lists(set, room, set->parts);
    while (size_before_filter(plan) + usual_size(set, plan) > room) {
        if (plan->paired == 0)
            return 0;
        plan->paired &= ~(1u << extreme(set->pairs, plan->paired, 1));
    }
    plan->filter_size = usual_size(set, plan);
    return 1;
}

static struct plan plan_of(const struct set *set, size_t room)
{
    struct plan plan;

    if (set->parts > 1 && plan_parts(set, room, &plan))
        return plan;
    plan = with_lists(set, room, 1);
    for (;;) {
        uint32_t most = extreme(set->count, plan.filtered, 1);
        size_t before = size_before_filter(&plan), usual = usual_size(set, &plan);

        plan.filter_size = before < room ? room - before : 0;
        if (plan.filter_size > usual)
            plan.filter_size = usual;
        if (most == CLASSES || plan.filter_size * 8 >= in_filter(set, &plan, FEWEST_BITS, 0))
            return plan;
        plan.filtered &= ~(1u << most);
    }
}

static uint32_t probes_for(const struct set *set, const struct plan *plan)
{
    size_t other = in_filter(set, plan, 1, 1), best = other ? plan->filter_size * 8 * 69 / 100 / other : 1; /* ln 2 */

    return best < 1 ? 1 : best > MOST_PROBES ? MOST_PROBES : (uint32_t)best;
}

static uint32_t probed(uint64_t hash, uint32_t number, uint32_t bit_count)
{
    uint32_t place = (uint32_t)hash + number * ((uint32_t)(hash >> 32) | 1u);

    return (uint32_t)((uint64_t)place * bit_count >> 32);
}

static uint64_t hash_of_pair(uint64_t value, uint32_t part)
{
    return mixed(value | (uint64_t)(part + 1) << PAIR_SHIFT);
}

static uint8_t *put(uint8_t *to, const void *from, size_t length)
{
    memcpy(to, from, length);
    return to + length;
}

static uint8_t *put_head(const struct set *set, const struct plan *plan, uint8_t *to)
{
    struct header header = {plan->parts > 1 ? FORMAT_WITH_PARTS : FORMAT, (uint8_t)probes_for(set, plan),
                            (uint16_t)plan->exact, (uint16_t)plan->filtered, (uint16_t)plan->paired};

    to = put(to, &header, sizeof header);
    if (plan->parts > 1) {
        to = put(to, &plan->parts, sizeof plan->parts);
        to = put(to, set->begin, (plan->parts + 1) * sizeof *set->begin);
        to = put(to, set->packets, plan->parts * sizeof *set->packets);
    }
    for (uint32_t class = 0; class < CLASSES; class++)
        if (plan->exact >> class & 1) {
            uint16_t count = (uint16_t)set->count[class];

            to = put(to, &count, sizeof count);
        }
    return to;
}

/* By class, then by value. */
static int compare_slots(const void *left, const void *right)
{
    uint64_t a, b;

    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    a &= VALUE_MASK;
    b &= VALUE_MASK;
    return (a > b) - (a < b);
}

/* The list of a class from its slots, which are sorted; with parts these stand behind it. */
static uint8_t *put_list(const uint64_t *slots, uint32_t count, int with_parts, uint8_t *to)
{
    for (uint32_t number = 0; number < count; number++) {
        uint32_t value = (uint32_t)slots[number];

        to = put(to, &value, sizeof value);
    }
    for (uint32_t number = 0; with_parts && number < count; number++) {
        uint16_t parts = (uint16_t)(slots[number] >> VALUE_BITS);

        to = put(to, &parts, sizeof parts);
    }
    return to;
}

static void put_lists(const struct set *set, const struct plan *plan, uint8_t *to)
{
    const uint64_t *slots = set->slots; /* those that are listed come first, sorted */

    for (uint32_t class = 0; class < CLASSES; class++)
        if (plan->exact >> class & 1) {
            to = put_list(slots, set->count[class], plan->parts > 1, to);
            slots += set->count[class];
        }
}

static void set_bits(uint8_t *filter, const struct plan *plan, uint32_t probes, uint64_t hash)
{
    for (uint32_t number = 0; number < probes; number++) {
        uint32_t bit = probed(hash, number, (uint32_t)plan->filter_size * 8);

        filter[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}

static void put_filter(const struct set *set, const struct plan *plan, uint8_t *filter)
{
    uint32_t probes = probes_for(set, plan);

    memset(filter, 0, plan->filter_size);
    for (uint32_t place = 0; place < set->slot_count; place++) {
        uint64_t value = set->slots[place] & VALUE_MASK;
        uint32_t class = (uint32_t)(value >> 32) - 1;

        if (value == 0 || !(plan->filtered >> class & 1))
            continue;
        if (!(plan->paired >> class & 1))
            set_bits(filter, plan, probes, mixed(value));
        for (uint64_t parts = plan->paired >> class & 1 ? set->slots[place] >> VALUE_BITS : 0; parts != 0; parts &= parts - 1)
            set_bits(filter, plan, probes, hash_of_pair(value, (uint32_t)__builtin_ctzll(parts)));
    }
}

/* Moves the slots of what is listed to the front, sorted. */
static void sort_listed(struct set *set, const struct plan *plan)
{
    uint32_t listed = 0;

    for (uint32_t place = 0; place < set->slot_count; place++) {
        uint64_t slot = set->slots[place];

        if (slot != 0 && (plan->exact >> ((uint32_t)((slot & VALUE_MASK) >> 32) - 1) & 1))
            set->slots[listed++] = slot;
    }
    qsort(set->slots, listed, sizeof *set->slots, compare_slots);
}

uint8_t *write_summary(struct set *set, size_t room, size_t *length)
{
    struct plan plan = plan_of(set, room);
    size_t before = size_before_filter(&plan), needed = before + plan.filter_size;
    uint8_t *bytes;

    if ((plan.exact | plan.filtered) == 0 || needed > room || (bytes = malloc(needed)) == NULL)
        return NULL;
    if (plan.filter_size != 0)
        put_filter(set, &plan, bytes + before);
    sort_listed(set, &plan);
    put_lists(set, &plan, put_head(set, &plan, bytes));
    *length = needed;
    return bytes;
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

struct rest { /* what is still to be read of a summary */
    const uint8_t *at;
    size_t length;
};

/* The next bytes; NULL if there are not so many. */
static const uint8_t *take(struct rest *rest, size_t length)
{
    const uint8_t *at = rest->at;

    if (length > rest->length)
        return NULL;
    rest->at += length;
    rest->length -= length;
    return at;
}

static const char *open_parts(struct rest *rest, struct summary *summary)
{
    const uint8_t *number = take(rest, sizeof summary->parts), *begin, *packets;

    if (number == NULL)
        return "a summary is cut off";
    memcpy(&summary->parts, number, sizeof summary->parts);
    if (summary->parts < 2 || summary->parts > MOST_PARTS)
        return "a summary has no such parts";
    begin = take(rest, (summary->parts + 1) * sizeof *summary->begin);
    packets = take(rest, summary->parts * sizeof *summary->packets);
    if (begin == NULL || packets == NULL)
        return "a summary is cut off";
    memcpy(summary->begin, begin, (summary->parts + 1) * sizeof *summary->begin);
    memcpy(summary->packets, packets, summary->parts * sizeof *summary->packets);
    for (uint32_t part = 0; part < summary->parts; part++)
        if (summary->begin[part] > summary->begin[part + 1] ||
            (summary->packets[part] != 0 && summary->begin[part] == summary->begin[part + 1]))
            return "the parts of a summary have no order";
    return NULL;
}

const char *open_summary(const uint8_t *bytes, size_t length, struct summary *summary)
{
    struct rest rest = {bytes, length};
    struct header header;
    const uint8_t *head = take(&rest, sizeof header);
    size_t size = sizeof(uint32_t);

    memset(summary, 0, sizeof *summary);
    summary->parts = 1;
    if (length == 0)
        return NULL;
    if (head == NULL)
        return "a summary is cut off";
    memcpy(&header, head, sizeof header);
    if ((header.format != FORMAT && header.format != FORMAT_WITH_PARTS) || (header.exact | header.filtered) >> CLASSES ||
        (header.exact & header.filtered))
        return "this is no summary, or one of another version";
    if (header.format == FORMAT_WITH_PARTS) {
        const char *message = open_parts(&rest, summary);

        if (message != NULL)
            return message;
        summary->paired = header.paired;
        size += sizeof(uint16_t);
    }
    for (uint32_t class = 0; class < CLASSES; class++)
        if (header.exact >> class & 1) {
            const uint8_t *at = take(&rest, sizeof(uint16_t));
            uint16_t count;

            if (at == NULL)
                return "a summary is cut off";
            memcpy(&count, at, sizeof count);
            summary->count[class] = count;
        }
    for (uint32_t class = 0; class < CLASSES; class++) {
        summary->list[class] = take(&rest, summary->count[class] * size);
        if (summary->list[class] == NULL)
            return "a summary has not the length that it tells";
    }
    if (rest.length > UINT32_MAX / 8)
        return "a summary has not the length that it tells";
    summary->exact = header.exact;
    summary->filtered = header.filtered;
    summary->bits = rest.at;
    summary->bit_count = (uint32_t)rest.length * 8;
    summary->probes = header.probes;
    return NULL;
}

/* The parts that have a listed value. */
static uint32_t parts_of_listed(const struct summary *summary, enum class class, uint32_t low, uint32_t high)
{
    const uint8_t *list = summary->list[class];
    uint32_t count = summary->count[class], begin = 0, value, found = 0;

    for (uint32_t end = count; begin < end;) {
        uint32_t middle = begin + (end - begin) / 2;

        memcpy(&value, list + middle * sizeof value, sizeof value);
        if (value < low)
            begin = middle + 1;
        else
            end = middle;
    }
    for (; begin < count; begin++) {
        uint16_t parts = 1;

        memcpy(&value, list + begin * sizeof value, sizeof value);
        if (value > high)
            break;
        if (summary->parts > 1)
            memcpy(&parts, list + count * sizeof value + begin * sizeof parts, sizeof parts);
        found |= parts;
        if (summary->parts == 1)
            break;
    }
    return found;
}

static int is_in_filter(const struct summary *summary, uint64_t hash)
{
    for (uint32_t number = 0; number < summary->probes; number++) {
        uint32_t bit = probed(hash, number, summary->bit_count);

        if ((summary->bits[bit / 8] >> bit % 8 & 1) == 0)
            return 0;
    }
    return 1;
}

static uint32_t parts_in_filter(const struct summary *summary, enum class class, uint32_t value)
{
    uint32_t found = 0;

    if (!(summary->paired >> class & 1))
        return is_in_filter(summary, mixed(tagged(class, value))) ? all_parts(summary) : 0;
    for (uint32_t part = 0; part < summary->parts; part++)
        found |= (uint32_t)is_in_filter(summary, hash_of_pair(tagged(class, value), part)) << part;
    return found;
}

uint32_t may_have(const struct summary *summary, enum class class, uint32_t low, uint32_t high)
{
    uint32_t found = 0;

    if (summary->exact >> class & 1)
        return parts_of_listed(summary, class, low, high) & all_parts(summary);
    if (!(summary->filtered >> class & 1) || summary->bit_count == 0 || high - low >= MOST_ASKED)
        return low <= high ? all_parts(summary) : 0;
    for (uint32_t number = 0; number <= high - low; number++)
        found |= parts_in_filter(summary, class, low + number);
    return found;
}
