/* Finds out what filters need, and looks filters up by what a packet has.
 *
 * A fact is that a packet has a value in a column: a number of the key, or an address of which some bits count. What a program
 * needs is a list of facts, of which each packet that it accepts has one at least. It follows from the end of the program to
 * its beginning: who goes on at a test by "yes" has a fact of the test, and one that the rest needs, so the list that says
 * more is enough; who goes on by "no" has one that the rest needs there. Where nothing is known the program is always run.
 */
#include "_lookup.h"

#include <stdlib.h>

#define MOST_NEEDED 1024u /* facts of a program; one that needs more is always run */
#define MOST_FACTS 65536u /* that are looked at to find these */
#define MOST_VALUES 16u   /* of a range, to be facts of their own */
#define MOST_COLUMNS 64u  /* a packet is asked for each of them */
#define NOBODY UINT32_MAX

enum worth { /* of a list: that of its worst fact */
    WORTH_CONVERSATION, /* few packets have it: an address, or nothing at all */
    WORTH_SERVICE,
    WORTH_KIND,
};

struct column {
    uint8_t operation, field;
    uint8_t mask[16]; /* of addresses */
};

struct fact { /* while programs are looked through */
    struct column column;
    uint32_t value, next;
};

struct need {
    uint32_t first, count; /* of facts */
    enum worth worth;
    int open; /* nothing is known */
};

struct entry_of_table { /* a value in a column, and the first of the programs that need it */
    uint32_t column, value, first;
};

struct reference {
    uint32_t program, next;
};

struct lookup {
    size_t count;
    uint64_t *always; /* the set of the programs that are always run */
    struct column columns[MOST_COLUMNS];
    size_t column_count;
    struct entry_of_table *table;
    size_t table_mask;
    struct reference *references;
    size_t reference_count;
};

struct work { /* on one program after the other */
    struct fact *facts;
    size_t fact_count, fact_room;
    struct need needs[MOST_TESTS];
    struct { /* what all programs need */
        uint32_t column, value, program;
    } *found;
    size_t found_count, found_room;
    int no_memory;
};

/* --- what a program needs ----------------------------------------------------------------------------------------- */

static const struct need NEEDS_NOTHING = {NOBODY, 0, WORTH_KIND, 1};
static const struct need NEVER = {NOBODY, 0, WORTH_CONVERSATION, 0}; /* no fact would be enough */

/* Room for one more; NULL: no memory. */
static void *grown(void *array, size_t count, size_t *room, size_t size)
{
    void *larger;

    if (count < *room)
        return array;
    larger = realloc(array, (*room * 2 + 64) * size);
    if (larger != NULL)
        *room = *room * 2 + 64;
    return larger;
}

static void add_fact(struct work *work, struct need *need, const struct column *column, uint32_t value, enum worth worth)
{
    struct fact *facts = grown(work->facts, work->fact_count, &work->fact_room, sizeof *facts);

    if (facts != NULL)
        work->facts = facts;
    if (facts == NULL || need->count == MOST_NEEDED || work->fact_count == MOST_FACTS) {
        work->no_memory |= facts == NULL;
        *need = NEEDS_NOTHING;
        return;
    }
    facts[work->fact_count] = (struct fact){*column, value, need->first};
    need->first = (uint32_t)work->fact_count++;
    need->count++;
    if (worth > need->worth)
        need->worth = worth;
}

static enum worth worth_of_number(unsigned field)
{
    return field == FIELD_LENGTH || field == FIELD_IP_VERSION || field == FIELD_DSCP || field == FIELD_PROTOCOL
               ? WORTH_KIND : WORTH_SERVICE;
}

static struct need need_of_numbers(struct work *work, const struct test *test, const uint8_t *ranges)
{
    struct column column = {test->operation, test->field, {0}};
    struct need need = NEVER;

    for (size_t place = 0; place < test->count && !need.open; place++, ranges += sizeof(struct range)) {
        struct range range;

        memcpy(&range, ranges, sizeof range);
        if (range.low > range.high)
            continue;
        if (range.high - range.low >= MOST_VALUES)
            return NEEDS_NOTHING;
        for (uint32_t above = 0; above <= range.high - range.low && !need.open; above++)
            add_fact(work, &need, &column, range.low + above, worth_of_number(test->field));
    }
    return need;
}

static uint32_t value_of(const uint8_t *address, const uint8_t *mask, size_t size)
{
    uint8_t masked[16] = {0};

    for (size_t place = 0; place < size; place++)
        masked[place] = address[place] & mask[place];
    return hash_of_ipv6(masked);
}

static struct need need_of_addresses(struct work *work, const struct test *test, const uint8_t *pairs, size_t size)
{
    struct need need = NEVER;

    for (size_t place = 0; place < test->count && !need.open; place++, pairs += 2 * size) {
        struct column column = {test->operation, test->field, {0}};
        size_t ones = 0;

        memcpy(column.mask, pairs + size, size);
        for (size_t at = 0; at < size; at++)
            ones += column.mask[at] == 0xff;
        add_fact(work, &need, &column, value_of(pairs, column.mask, size),
                 ones == size ? WORTH_CONVERSATION : ones > 0 ? WORTH_SERVICE : WORTH_KIND);
    }
    return need;
}

/* A packet of which the test holds has one of these. */
static struct need need_of_test(struct work *work, const struct test *test, const uint8_t *constants)
{
    switch (test->operation) {
    case OPERATION_NUMBER:
        return need_of_numbers(work, test, constants);
    case OPERATION_SOURCE:
    case OPERATION_DESTINATION:
        return need_of_addresses(work, test, constants, test->field == 4 ? 4 : 16);
    case OPERATION_SOURCE_MAC:
    case OPERATION_DESTINATION_MAC:
        return need_of_addresses(work, test, constants, MAC_LENGTH);
    default:
        return NEEDS_NOTHING;
    }
}

/* Both hold: the one that says more. */
static struct need better(struct need a, struct need b)
{
    if (a.open || b.open)
        return a.open ? b : a;
    if (a.worth != b.worth)
        return a.worth < b.worth ? a : b;
    return a.count <= b.count ? a : b;
}

/* One of the two holds. */
static struct need either(struct work *work, struct need a, struct need b)
{
    if (a.open || b.open)
        return NEEDS_NOTHING;
    if (a.first == b.first)
        return a;
    for (uint32_t number = a.first; number != NOBODY && !b.open; number = work->facts[number].next) {
        struct fact fact = work->facts[number];

        add_fact(work, &b, &fact.column, fact.value, a.worth);
    }
    return b;
}

static struct need need_from(const struct work *work, size_t number)
{
    return number == ACCEPT ? NEEDS_NOTHING : number == REJECT ? NEVER : work->needs[number];
}

static struct need need_of_program(struct work *work, const struct program *program)
{
    work->fact_count = 0;
    for (size_t number = program->count; number-- > 0;) {
        struct test test = test_at(program, number);
        struct need rest = need_from(work, test.yes);
        struct need own = need_of_test(work, &test, program->constants + test.offset);

        work->needs[number] = better(own, rest);
        if (test.operation != OPERATION_YES)
            work->needs[number] = either(work, work->needs[number], need_from(work, test.no));
    }
    return work->needs[0];
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

/* Number of a column; MOST_COLUMNS if there is no place for another one. */
static size_t column_number(struct lookup *lookup, const struct column *wanted)
{
    size_t number = 0;

    while (number < lookup->column_count && memcmp(&lookup->columns[number], wanted, sizeof *wanted) != 0)
        number++;
    if (number == lookup->column_count && number < MOST_COLUMNS)
        lookup->columns[lookup->column_count++] = *wanted;
    return number;
}

/* Notes what a program needs; whether that is known, and in columns that there are. */
static int note(struct lookup *lookup, struct work *work, struct need need, size_t program)
{
    size_t before = work->found_count;

    for (uint32_t number = need.first; number != NOBODY && !need.open; number = work->facts[number].next) {
        size_t column = column_number(lookup, &work->facts[number].column);
        void *found = grown(work->found, work->found_count, &work->found_room, sizeof *work->found);

        if (found != NULL)
            work->found = found;
        work->no_memory |= found == NULL;
        if (found == NULL || column == MOST_COLUMNS) {
            work->found_count = before;
            return 0;
        }
        work->found[work->found_count].column = (uint32_t)column;
        work->found[work->found_count].value = work->facts[number].value;
        work->found[work->found_count++].program = (uint32_t)program;
    }
    return !need.open;
}

/* The entry of a value, or the free one where it belongs. */
static struct entry_of_table *find(const struct lookup *lookup, size_t column, uint32_t value)
{
    size_t place = (size_t)(((uint64_t)column << 32 | value) * 0x9e3779b97f4a7c15u >> 32) & lookup->table_mask;

    while (lookup->table[place].first != NOBODY &&
           (lookup->table[place].column != column || lookup->table[place].value != value))
        place = (place + 1) & lookup->table_mask;
    return &lookup->table[place];
}

/* 0, or -1 without memory. */
static int make_table(struct lookup *lookup, const struct work *work)
{
    size_t size = 16;

    while (size < 2 * work->found_count)
        size *= 2;
    lookup->table_mask = size - 1;
    lookup->table = malloc(size * sizeof *lookup->table);
    lookup->references = malloc((work->found_count + 1) * sizeof *lookup->references);
    if (lookup->table == NULL || lookup->references == NULL)
        return -1;
    for (size_t place = 0; place < size; place++)
        lookup->table[place].first = NOBODY;
    for (size_t number = 0; number < work->found_count; number++) {
        struct entry_of_table *entry = find(lookup, work->found[number].column, work->found[number].value);

        lookup->references[number] = (struct reference){work->found[number].program, entry->first};
        *entry = (struct entry_of_table){work->found[number].column, work->found[number].value, (uint32_t)number};
    }
    return 0;
}

static int fill(struct lookup *lookup, struct work *work, const struct program *programs)
{
    for (size_t number = 0; number < lookup->count; number++)
        if (!note(lookup, work, need_of_program(work, &programs[number]), number))
            lookup->always[number / 64] |= (uint64_t)1 << number % 64;
    return work->no_memory ? -1 : make_table(lookup, work);
}

struct lookup *make_lookup(const struct program *programs, size_t count)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    struct work *work = calloc(1, sizeof *work);

    if (lookup != NULL) {
        lookup->count = count;
        lookup->always = calloc(set_words(lookup) + 1, sizeof *lookup->always);
    }
    if (lookup == NULL || work == NULL || lookup->always == NULL || fill(lookup, work, programs) < 0) {
        free_lookup(lookup);
        lookup = NULL;
    }
    if (work != NULL) {
        free(work->facts);
        free(work->found);
    }
    free(work);
    return lookup;
}

void free_lookup(struct lookup *lookup)
{
    if (lookup == NULL)
        return;
    free(lookup->always);
    free(lookup->table);
    free(lookup->references);
    free(lookup);
}

/* --- looking up --------------------------------------------------------------------------------------------------- */

size_t set_words(const struct lookup *lookup)
{
    return (lookup->count + 63) / 64;
}

static void put(const struct lookup *lookup, size_t column, uint32_t value, uint64_t *set)
{
    for (uint32_t number = find(lookup, column, value)->first; number != NOBODY;
         number = lookup->references[number].next) {
        uint32_t program = lookup->references[number].program;

        set[program / 64] |= (uint64_t)1 << program % 64;
    }
}

static void put_number(const struct lookup *lookup, size_t number, const struct key *key, uint64_t *set)
{
    uint8_t field = lookup->columns[number].field;

    if (field != FIELD_MPLS)
        put(lookup, number, key->value[field], set);
    for (uint32_t label = 0; field == FIELD_MPLS && label < key->labels; label++)
        put(lookup, number, key->label[label], set);
}

void look_up(const struct lookup *lookup, const struct key *key, uint64_t *set)
{
    memcpy(set, lookup->always, set_words(lookup) * sizeof *set);
    for (size_t number = 0; number < lookup->column_count; number++) {
        const struct column *column = &lookup->columns[number];
        int has_version = (key->present >> FIELD_IP_VERSION & 1) != 0 && key->value[FIELD_IP_VERSION] == column->field;
        size_t size = column->field == 4 ? 4 : 16;

        switch (column->operation) {
        case OPERATION_NUMBER:
            if (key->present >> column->field & 1)
                put_number(lookup, number, key, set);
            break;
        case OPERATION_SOURCE:
            if (has_version)
                put(lookup, number, value_of(key->source, column->mask, size), set);
            break;
        case OPERATION_DESTINATION:
            if (has_version)
                put(lookup, number, value_of(key->destination, column->mask, size), set);
            break;
        case OPERATION_SOURCE_MAC:
            if (key->has_macs)
                put(lookup, number, value_of(key->source_mac, column->mask, MAC_LENGTH), set);
            break;
        default: /* OPERATION_DESTINATION_MAC */
            if (key->has_macs)
                put(lookup, number, value_of(key->destination_mac, column->mask, MAC_LENGTH), set);
            break;
        }
    }
}
