/* Writes a summary down: which classes of values are listed, which go into the filter, and what there is no room for. */
#include "_summary_form.h"

#include <stdlib.h>

#define USUAL_BITS 10u /* of the filter for each value */
#define PAIR_BITS 14u  /* for each pair of value and part, which is asked for part by part */
#define FEWEST_BITS 2u /* below, a class is left out for the others' sake */
#define MOST_PROBES 7u
#define FEW 16u /* values, which are listed in any case */

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
