/* Reads a summary, and answers from it. Nothing in it is believed. */
#include "_summary_form.h"

#define MOST_ASKED 16u /* values that the filter is asked for in place of a range */

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
