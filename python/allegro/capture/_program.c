/* Runs filters. A program comes from allegro/filters/program.py, but this process does not rely on that. */
#include "_program.h"

#include "_bpf.h"

#define MAGIC "AlFp1\0\0\0"
#define MAGIC_LENGTH 8u

struct header {
    uint8_t magic[MAGIC_LENGTH];
    uint32_t tests;
    uint32_t constants; /* bytes */
};

/* --- check -------------------------------------------------------------------------------------------------------- */

static size_t size_of_constant(const struct test *test)
{
    switch (test->operation) {
    case OPERATION_NUMBER:
        return sizeof(struct range);
    case OPERATION_SOURCE:
    case OPERATION_DESTINATION:
        return test->field == 4 ? 8 : 32; /* address and mask */
    case OPERATION_SOURCE_MAC:
    case OPERATION_DESTINATION_MAC:
        return 2 * MAC_LENGTH; /* address and mask */
    case OPERATION_BPF:
        return sizeof(struct sock_filter);
    default:
        return 1;
    }
}

static const char *check_test(const struct test *test, size_t number, const struct program *program, size_t constants)
{
    if (test->operation > OPERATION_BPF)
        return "a filter has a test that is not known";
    if (test->operation == OPERATION_NUMBER && test->field >= FIELDS)
        return "a filter asks for a field that is not known";
    if ((test->operation == OPERATION_SOURCE || test->operation == OPERATION_DESTINATION) && test->field != 4 &&
        test->field != 6)
        return "a filter asks for an address of no IP version";
    if (test->offset > constants || test->count > (constants - test->offset) / size_of_constant(test))
        return "a filter's values lie outside of it";
    if ((test->yes < REJECT && (test->yes <= number || test->yes >= program->count)) ||
        (test->no < REJECT && (test->no <= number || test->no >= program->count)))
        return "a filter goes on at no later test of its own";
    if (test->operation == OPERATION_BPF)
        return check_bpf(program->constants + test->offset, test->count);
    return NULL;
}

const char *open_program(const uint8_t *bytes, size_t length, struct program *program)
{
    struct header header;

    if (length < sizeof header)
        return "a filter is cut off";
    memcpy(&header, bytes, sizeof header);
    if (memcmp(header.magic, MAGIC, MAGIC_LENGTH) != 0)
        return "this is no filter, or one of another version";
    if (header.tests == 0 || header.tests > MOST_TESTS)
        return "a filter has no tests, or too many";
    length -= sizeof header;
    if (length < header.tests * sizeof(struct test) || length - header.tests * sizeof(struct test) != header.constants)
        return "a filter has not the length that it tells";
    program->tests = bytes + sizeof header;
    program->constants = program->tests + header.tests * sizeof(struct test);
    program->count = header.tests;
    for (size_t number = 0; number < program->count; number++) {
        struct test test = test_at(program, number);
        const char *message = check_test(&test, number, program, header.constants);

        if (message != NULL)
            return message;
    }
    return NULL;
}

/* --- run ---------------------------------------------------------------------------------------------------------- */

static int in_ranges(const uint8_t *ranges, size_t count, uint32_t value)
{
    for (; count > 0; count--, ranges += sizeof(struct range)) {
        struct range range;

        memcpy(&range, ranges, sizeof range);
        if (range.low <= value && value <= range.high)
            return 1;
    }
    return 0;
}

static int number_matches(const uint8_t *ranges, const struct test *test, const struct key *key)
{
    if ((key->present >> test->field & 1) == 0)
        return 0;
    if (test->field != FIELD_MPLS)
        return in_ranges(ranges, test->count, key->value[test->field]);
    for (uint32_t number = 0; number < key->labels; number++)
        if (in_ranges(ranges, test->count, key->label[number]))
            return 1;
    return 0;
}

static int ipv4_matches(const uint8_t *networks, size_t count, const uint8_t *address)
{
    uint32_t own, pair[2];

    memcpy(&own, address, sizeof own);
    for (; count > 0; count--, networks += sizeof pair) {
        memcpy(pair, networks, sizeof pair);
        if ((own & pair[1]) == pair[0])
            return 1;
    }
    return 0;
}

static int ipv6_matches(const uint8_t *networks, size_t count, const uint8_t *address)
{
    uint64_t own[2], network[4];

    memcpy(own, address, sizeof own);
    for (; count > 0; count--, networks += sizeof network) {
        memcpy(network, networks, sizeof network);
        if ((own[0] & network[2]) == network[0] && (own[1] & network[3]) == network[1])
            return 1;
    }
    return 0;
}

static int address_matches(const uint8_t *networks, const struct test *test, const struct key *key,
                           const uint8_t *address)
{
    if ((key->present >> FIELD_IP_VERSION & 1) == 0 || key->value[FIELD_IP_VERSION] != test->field)
        return 0;
    return test->field == 4 ? ipv4_matches(networks, test->count, address) : ipv6_matches(networks, test->count, address);
}

static int mac_matches(const uint8_t *pairs, size_t count, const struct key *key, const uint8_t *own)
{
    for (; key->has_macs && count > 0; count--, pairs += 2 * MAC_LENGTH) {
        size_t place = 0;

        while (place < MAC_LENGTH && (own[place] & pairs[MAC_LENGTH + place]) == pairs[place])
            place++;
        if (place == MAC_LENGTH)
            return 1;
    }
    return 0;
}

static int matches(const struct program *program, const struct test *test, const struct key *key,
                   const struct frame *frame)
{
    const uint8_t *constants = program->constants + test->offset;

    switch (test->operation) {
    case OPERATION_YES:
        return 1;
    case OPERATION_NUMBER:
        return number_matches(constants, test, key);
    case OPERATION_SOURCE:
        return address_matches(constants, test, key, key->source);
    case OPERATION_DESTINATION:
        return address_matches(constants, test, key, key->destination);
    case OPERATION_SOURCE_MAC:
        return mac_matches(constants, test->count, key, key->source_mac);
    case OPERATION_DESTINATION_MAC:
        return mac_matches(constants, test->count, key, key->destination_mac);
    default:
        return run_bpf(constants, frame);
    }
}

int run_program(const struct program *program, const struct key *key, const struct frame *frame)
{
    size_t number = 0;

    while (number < REJECT) {
        struct test test = test_at(program, number);

        number = matches(program, &test, key, frame) ? test.yes : test.no;
    }
    return number == ACCEPT;
}

/* --- a record ----------------------------------------------------------------------------------------------------- */

static uint32_t may_have_version(const struct summary *summary, const uint8_t *ranges, size_t count, uint32_t version)
{
    if (!in_ranges(ranges, count, version))
        return 0;
    return may_have(summary, version == 4 ? CLASS_IPV4 : CLASS_IPV6, 0, UINT32_MAX);
}

static uint32_t number_may_match(const uint8_t *ranges, const struct test *test, const struct summary *summary)
{
    static const struct {
        uint8_t known, class;
    } classes[FIELDS] = {
        [FIELD_OUTER_VLAN] = {1, CLASS_VLAN},   [FIELD_INNER_VLAN] = {1, CLASS_VLAN},
        [FIELD_MPLS] = {1, CLASS_LABEL},        [FIELD_PROTOCOL] = {1, CLASS_PROTOCOL},
        [FIELD_SOURCE_PORT] = {1, CLASS_PORT},  [FIELD_DESTINATION_PORT] = {1, CLASS_PORT},
        [FIELD_VNI] = {1, CLASS_VNI},
    };
    uint32_t found = 0;

    if (test->field == FIELD_IP_VERSION)
        return may_have_version(summary, ranges, test->count, 4) | may_have_version(summary, ranges, test->count, 6);
    if (!classes[test->field].known)
        return all_parts(summary);
    for (size_t place = 0; place < test->count; place++) {
        struct range range;

        memcpy(&range, ranges + place * sizeof range, sizeof range);
        found |= may_have(summary, classes[test->field].class, range.low, range.high);
    }
    return found;
}

/* A mask of ones and then zeros is a range. */
static uint32_t ipv4_may_match(const uint8_t *networks, size_t count, const struct summary *summary)
{
    uint32_t found = 0;

    for (; count > 0; count--, networks += 8) {
        uint32_t address = (uint32_t)read_u16(networks) << 16 | read_u16(networks + 2);
        uint32_t others = ~((uint32_t)read_u16(networks + 4) << 16 | read_u16(networks + 6));

        found |= (others & (others + 1)) != 0 ? all_parts(summary)
                                              : may_have(summary, CLASS_IPV4, address, address | others);
    }
    return found;
}

/* Of addresses that are hashed: whether it is this one, or any. */
static uint32_t hashed_may_match(const uint8_t *pairs, size_t count, size_t size, enum class class,
                                 const struct summary *summary)
{
    uint32_t found = 0;

    for (; count > 0; count--, pairs += 2 * size) {
        uint32_t hash = class == CLASS_IPV6 ? hash_of_ipv6(pairs) : hash_of_mac(pairs);
        int whole = 1;

        for (size_t place = 0; place < size; place++)
            whole &= pairs[size + place] == 0xff;
        found |= whole ? may_have(summary, class, hash, hash) : may_have(summary, class, 0, UINT32_MAX);
    }
    return found;
}

static uint32_t test_may_match(const struct program *program, const struct test *test, const struct summary *summary)
{
    const uint8_t *constants = program->constants + test->offset;

    switch (test->operation) {
    case OPERATION_NUMBER:
        return number_may_match(constants, test, summary);
    case OPERATION_SOURCE:
    case OPERATION_DESTINATION:
        return test->field == 4 ? ipv4_may_match(constants, test->count, summary)
                                : hashed_may_match(constants, test->count, 16, CLASS_IPV6, summary);
    case OPERATION_SOURCE_MAC:
    case OPERATION_DESTINATION_MAC:
        return hashed_may_match(constants, test->count, MAC_LENGTH, CLASS_MAC, summary);
    default:
        return all_parts(summary);
    }
}

/* Notes that the program may go on at a test for packets of these parts; answers for which that is its end. */
static uint32_t goes_on(uint16_t *reached, size_t number, uint32_t parts)
{
    if (number < REJECT)
        reached[number] |= (uint16_t)parts;
    return number == ACCEPT ? parts : 0;
}

/* Follows every way that some packet may take: each test may fail, and hold unless the summary knows better. */
uint32_t may_match(const struct program *program, const struct summary *summary)
{
    uint16_t reached[MOST_TESTS];
    uint32_t found = 0;

    memset(reached, 0, program->count * sizeof *reached);
    reached[0] = (uint16_t)all_parts(summary);
    for (size_t number = 0; number < program->count && found != all_parts(summary); number++) {
        struct test test;

        if (reached[number] == 0)
            continue;
        test = test_at(program, number);
        found |= goes_on(reached, test.yes, reached[number] & test_may_match(program, &test, summary));
        if (test.operation != OPERATION_YES)
            found |= goes_on(reached, test.no, reached[number]);
    }
    return found;
}
